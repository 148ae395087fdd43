"""Who a check belongs to: a loyalty account first, else the guest on it."""

from connectors.dining.toast.config import ToastConfig
from connectors.dining.toast.payload import Check, Guest
from hub.connector import Hint, HintType, Party, Role, hints, person_name

# What Toast calls a loyalty provider that is not its own.
PROVIDER = "INTEGRATION"


def purchaser(check: Check, config: ToastConfig) -> tuple[Party, ...]:
    """Return who paid, as far as the check says; nobody is an answer too.

    Where the hub is the loyalty provider it has itself said whose the number on the check is. The
    guest's own record stays out of it then: it may be somebody else's, or many people's.
    """
    info = check.applied_loyalty_info
    if config.loyalty and info and info.vendor == PROVIDER and info.loyalty_identifier:
        number = Hint(type=HintType.LOYALTY_ID, value=info.loyalty_identifier, verified=True)
        return (Party(role=Role.PURCHASER, external_id=None, hints=(number,)),)
    guest = check.customer
    if guest is None or not guest.guid:
        return ()
    found = {
        HintType.PHONE: _phone(guest),
        HintType.EMAIL: guest.email,
        HintType.NAME: person_name(guest.first_name, guest.last_name),
    }
    return (Party(role=Role.PURCHASER, external_id=guest.guid, hints=hints(config, found)),)


def _phone(guest: Guest) -> str | None:
    code = "".join(filter(str.isdigit, guest.phone_country_code or ""))
    if not guest.phone or not code or guest.phone.lstrip().startswith("+"):
        return guest.phone
    return f"+{code} {guest.phone}"
