# ruff: noqa: E501 (one row per sample reads best)
"""What becomes of AlpineBits' sample messages; see test_shared_samples."""

OUTCOMES = {
    "ota/alpinebits_v_2018_10_OTA_ResRetrieveRS_cancellation.xml": "stay.cancelled c24e8b15ca469388 0 EUR",
    "ota/alpinebits_v_2018_10_OTA_ResRetrieveRS_request-with-roomtype.xml": "refused: reservation is Requested",
    "ota/alpinebits_v_2018_10_OTA_ResRetrieveRS_reservation.xml": "refused: reservation is Reserved",
    "ota/alpinebits_v_2020_10_OTA_ResRetrieveRS_cancellation.xml": "stay.cancelled c24e8b15ca469388 0 EUR",
    "ota/alpinebits_v_2020_10_OTA_ResRetrieveRS_request-with-roomtype.xml": "refused: reservation is Requested",
    "ota/alpinebits_v_2020_10_OTA_ResRetrieveRS_reservation.xml": "refused: reservation is Reserved",
}
