"""What becomes of Apaleo's own samples; see test_shared_samples."""

OUTCOMES = {
    "apaleo/webhook_healthcheck.json": "refused: system/healthcheck says nothing about stays",
    "apaleo/webhook_reservation_created.json": "refused: reservation is Confirmed",
}
ANSWERS = {
    ("POST", "https://identity.apaleo.com/connect/token"): b'{"access_token": "t"}',
    (
        "GET",
        "/booking/v1/reservations/XPGMSXGF-1",
    ): b'{"id": "XPGMSXGF-1", "status": "Confirmed"}',
}
