# ruff: noqa: E501 (one row per sample reads best)
"""What becomes of Oracle's own examples; see test_shared_samples. Requests are nobody's news."""

OUTCOMES = {
    "ohip/crm__getProfile.json": "refused: profiles says nothing about stays or guests",
    "ohip/fof__getReservationsForBilling.json": "refused: reservationInfoList says nothing about stays or guests",
    "ohip/int__getBusinessEvents.json": "profile.changed 1280812@967992978259; refused: reservation is Reserved; refused: reservation is Reserved",
    "ohip/int__getBusinessEventsByExternalSystem.json": "profile.changed 42212@967992978259; profile.changed 494139@967992978259",
    "ohip/postman_request__add_an_accompanying_guest_to_a_reservation_create_new_profile_if_one_doesn_t_exist.json": "refused: profileDetails says nothing about stays or guests",
    "ohip/postman_request__check_out_add_a_charge_to_the_folio.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__check_out_add_a_payment_to_the_folio.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__check_out_check_out_a_reservation.json": "refused: reservation says nothing about stays or guests",
    "ohip/postman_request__check_out_post_a_folio_required_before_checking_out_a_guest.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__check_out_reverse_a_check_out.json": "refused: reservationId says nothing about stays or guests",
    "ohip/postman_request__check_out_update_reservation_with_payment_method.json": "malformed reservations.reservation: a list was expected",
    "ohip/postman_request__create_a_block_create_a_posting_master_reservation_on_the_block.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__create_share_reservations_create_a_new_reservation.json": "refused: no reservation of the page is over",
    "ohip/postman_request__property_interfaces_post_charges_request_post_a_billing_charge_with_2_subtotals.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__property_interfaces_post_charges_request_post_a_billing_charge_with_negative_void_amount.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__property_interfaces_post_charges_request_post_a_billing_charge_with_negative_void_postingquan.json": "refused: criteria says nothing about stays or guests",
    "ohip/postman_request__search_availability_and_book_a_reservation_in_opera_cloud_cancel_a_reservation.json": "malformed reservations: a JSON object was expected",
    "ohip/postman_request__search_availability_and_book_a_reservation_in_opera_cloud_create_a_new_reservation.json": "refused: no reservation of the page is over",
    "ohip/postman_request__search_availability_and_book_a_reservation_in_opera_cloud_create_a_new_reservation_using_exis.json": "malformed reservations.reservation: a list was expected",
    "ohip/postman_request__search_availability_and_book_a_reservation_in_opera_cloud_create_a_new_reservation_with_a_pac.json": "malformed reservations.reservation: a list was expected",
    "ohip/postman_request__search_availability_by_room_number_create_a_new_reservation_with_roomid.json": "refused: no reservation of the page is over",
    "ohip/rsv__getReservation.json": "refused: no reservation of the page is over",
}

_ASKED = "fetchInstructions=Profile&fetchInstructions=Communication&fetchInstructions=Membership"
ANSWERS = {
    ("POST", "/oauth/v1/tokens"): '{"access_token": "t"}',
    **{
        ("GET", f"/crm/v1/profiles/{number}?{_ASKED}"): "ohip/crm__getProfile.json"
        for number in ("1280812", "42212", "494139")
    },
    **{
        ("GET", f"/rsv/v1/hotels/HOTEL1/reservations/{number}"): "ohip/rsv__getReservation.json"
        for number in ("919074", "934171")
    },
}
