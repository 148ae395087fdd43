"""Which column of a table says what of a person, told by its name. Pure.

A column whose name nobody knows is left out, and so is whatever numbers records or clusters: an
answer must not be read from the question.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum

from hub.errors import Malformed


class Field(StrEnum):
    """What a column can say. A row's values of several columns for one field: the first counts."""

    GIVEN_NAME = "given_name"
    SURNAME = "surname"
    FULL_NAME = "full_name"
    SUFFIX = "suffix"
    BIRTHDAY = "birthday"
    BIRTH_YEAR = "birth_year"
    BIRTH_MONTH = "birth_month"
    BIRTH_DAY = "birth_day"
    STREET_NUMBER = "street_number"
    STREET = "street"
    STREET_2 = "street_2"
    CITY = "city"
    POSTCODE = "postcode"
    STATE = "state"
    PHONE = "phone"
    EMAIL = "email"
    DOCUMENT = "document"
    LOYALTY_ID = "loyalty_id"
    ACCOUNT_ID = "account_id"
    SEX = "sex"


# Names are compared without anything but letters and digits.
_NAMES = {
    Field.GIVEN_NAME: "givenname givennames firstname forename forenames fname first given fnamec1 "
    "firstnamec1 vorname prenom nombre guestfirstname 名 名字",
    Field.SURNAME: "surname lastname familyname lname last family lnamec1 lastnamec1 sname "
    "secondname nachname nom apellido guestlastname 姓 姓氏",
    Field.FULL_NAME: "name fullname personname guestname displayname contactname membername "
    "cardholder nameoncard guest 姓名 客人姓名 全名",
    Field.SUFFIX: "suffix namesuffix generation",
    Field.BIRTHDAY: "dob dateofbirth birthdate birthday bday birth born geburtsdatum "
    "birthdt dobdate 生日 出生日期",
    Field.BIRTH_YEAR: "birthyear yearofbirth dobyear doby yob by byear year yearborn birthy",
    Field.BIRTH_MONTH: "birthmonth monthofbirth dobmonth dobm mob bm bmonth month birthm",
    Field.BIRTH_DAY: "birthdaynumber dayofbirth dobday dobd bd bday2 day dayborn birthd",
    Field.STREET_NUMBER: "streetnumber streetno housenumber houseno number stno hausnummer 门牌号",
    Field.STREET: "address address1 addressline1 addr1 addr street streetname streetaddress "
    "street1 strasse fulladdress homeaddress 地址 街道",
    Field.STREET_2: "address2 addressline2 addr2 street2 unit apartment apt",
    Field.CITY: "city suburb town locality municipality place ort cityname 城市",
    Field.POSTCODE: "postcode postalcode zip zipcode postal plz pcode zip5 邮编 邮政编码",
    Field.STATE: "state province region county statecode stateabbr 省 省份",
    Field.PHONE: "phone phonenumber telephone tel mobile mobilephone mobilenumber cell cellphone "
    "phone1 phoneno mobileno contactnumber telefon msisdn homephone phone2 手机 手机号 电话",
    Field.EMAIL: "email emailaddress mail mailaddress email1 emailid email2 邮箱 电子邮箱",
    Field.DOCUMENT: "ssn socsecid socialsecuritynumber socialsecurity socsec passport passportno "
    "passportnumber documentnumber documentno document docno docnumber iddocument iddocumenthash "
    "nationalid idnumber idno idcard idcardnumber identitynumber taxid nin nationalinsurance "
    "driverslicense driverlicense licencenumber licensenumber drivinglicence "
    "身份证 身份证号 证件号",
    Field.LOYALTY_ID: "loyaltyid loyaltynumber loyaltyno cardnumber cardno membershipnumber "
    "membershipno memberno membernumber frequentguestnumber 会员号 卡号",
    Field.ACCOUNT_ID: "unionid wechatunionid openid wechatopenid",
    Field.SEX: "sex gender geschlecht 性别",
}  # fmt: skip
_KNOWN = {name: field for field, names in _NAMES.items() for name in names.split()}


def detect(
    columns: Iterable[object], chosen: Mapping[str, str] | None = None
) -> tuple[dict[Field, list[int]], list[int]]:
    """Return the places of each field's columns, as they stand in the table, and of the others.

    `chosen` maps names of columns to names of fields and wins over what is detected; an empty
    field leaves the column out. Raises Malformed for a column or field that there is not.
    """
    present = list(columns)
    wishes = _wishes(present, chosen or {})
    found: dict[Field, list[int]] = {}
    unused = []
    for place, column in enumerate(present):
        name = str(column)
        field = wishes[name] if name in wishes else _KNOWN.get(_plain(column))
        if field is None:
            unused.append(place)
        else:
            found.setdefault(field, []).append(place)
    return found, unused


def _wishes(present: list[object], chosen: Mapping[str, str]) -> dict[str, Field | None]:
    names = {str(column) for column in present}
    wishes: dict[str, Field | None] = {}
    for column, wish in chosen.items():
        if str(column) not in names:
            there = ", ".join(repr(name) for name in sorted(names)) or "none"
            raise Malformed(
                f"there is no column {column!r} in the table; there are: {there}",
                field=str(column),
            )
        try:
            wishes[str(column)] = Field(wish) if wish else None
        except ValueError:
            known = ", ".join(Field)
            raise Malformed(
                f"column {column!r} cannot be {wish!r}: choose one of {known}", field=str(column)
            ) from None
    return wishes


def _plain(column: object) -> str:
    """A column's name without case, blanks and signs: `Given Name`, `givenName`, `given_name`."""
    return re.sub(r"[\W_]+", "", str(column).casefold())
