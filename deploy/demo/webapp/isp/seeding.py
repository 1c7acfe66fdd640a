"""Krill's first data: made up, and the same each time but for the passwords."""

from __future__ import annotations

import datetime as dt
import random
import unicodedata
from typing import Any

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group, Permission, User
from django.utils import timezone
from rest_framework.authtoken.models import Token

from deploy.demo.keys import Keys
from deploy.demo.users import GROUPS, USERS

from .models import Cpe, Customer, Pots

CUSTOMERS, CPES, POTSES = 420, 500, 260

#: Realm -> its towns: name, postal code, latitude, longitude.
REALMS = {
    "pim": (
        ("Palma", "07001", 39.57, 2.65),
        ("Inca", "07300", 39.72, 2.91),
        ("Manacor", "07500", 39.57, 3.21),
    ),
    "tor": (("Torrevieja", "03181", 37.98, -0.68), ("Orihuela", "03300", 38.09, -0.95)),
    "gir": (("Girona", "17001", 41.98, 2.82), ("Olot", "17800", 42.18, 2.49)),
    "cor": (("Córdoba", "14001", 37.89, -4.78), ("Lucena", "14900", 37.41, -4.49)),
}
#: Technology -> its share, models, the kind of node it hangs from.
TECHS: dict[str, tuple[int, tuple[str, ...], str]] = {
    "gpon": (72, ("HG8245H", "HG8546M", "F670L", "G-240W-C"), "olt"),
    "docsis": (14, ("CVE-30360", "TC7210"), "cmts"),
    "wimax": (8, ("WIXFMR-131", "BreezeMAX-PRO"), "bts"),
    "ghn": (6, ("GAM-12", "GN-160"), "dslam"),
}
MAKERS = ("00:25:9E", "48:57:02", "D4:60:E3", "F8:8E:85")
PROFILES = ("100M", "300M", "600M", "1G")
NAMES = """
    Antonio María Carmen José Ana Francisco Laura Manuel Isabel David Cristina Javier Marta Daniel Lucía
    Elena Miguel Pilar Rafael Rosa Pedro Teresa Ángel Raquel Sergio Nuria Pablo Beatriz Íñigo Begoña
""".split()  # noqa: SIM905
SURNAMES = """
    García Rodríguez González Fernández López Martínez Sánchez Pérez Gómez Martín Jiménez Ruiz Hernández Díaz
    Muñoz Álvarez Romero Alonso Gutiérrez Navarro Torres Domínguez Vázquez Ramos Gil Ramírez Serrano Blanco
""".split()  # noqa: SIM905
STREETS = ("Mayor", "del Sol", "de la Constitución", "San Juan", "Cervantes", "del Mar", "Nueva", "Real")
COMMENTS = ("", "", "", "Llamar por la tarde", "Factura en papel", "Cliente desde 2009", "Pide IP fija")


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()


def seed_users(keys: Keys) -> None:
    """Groups and users, each with a password and a token."""
    groups: dict[str, Any] = {}
    for name, codes in GROUPS.items():
        groups[name] = Group.objects.create(name=name)
        for code in codes:
            app, _, codename = code.partition(".")
            wanted = {"content_type__app_label": app, "codename__endswith": codename.lstrip("*")}
            groups[name].permissions.add(*Permission.objects.filter(**wanted))
    for user in USERS:
        saved = User.objects.create(
            username=user.name,
            first_name=user.first_name,
            last_name=user.last_name,
            email=f"{user.name}@krill.example",
            is_staff=user.staff,
            is_superuser=user.superuser,
            password=make_password(keys.password(user.name) if user.can_log_in else None),
        )
        if user.group:
            saved.groups.add(groups[user.group])
        if user.can_log_in:
            Token.objects.create(user=saved, key=keys.token(user.name))


def seed_data(keys: Keys) -> None:
    """Customers, CPEs and POTSes."""
    rng = random.Random(20231)
    now = timezone.now()
    customers = [_customer(rng, now, number) for number in range(CUSTOMERS)]
    Customer.objects.bulk_create(customers)
    # Everyone has a CPE, and some have a second one.
    owners = customers + rng.sample(customers, CPES - CUSTOMERS)
    numbers = dict.fromkeys(REALMS, 0)
    cpes = []
    for index, owner in enumerate(owners):
        numbers[owner.realm] += 1
        cpes.append(_cpe(rng, keys, owner, f"{owner.realm}{numbers[owner.realm]:04}", index))
    Cpe.objects.bulk_create(cpes)
    potses = [_pots(rng, keys, cpe, index) for index, cpe in enumerate(rng.sample(cpes, POTSES))]
    Pots.objects.bulk_create(potses)


def _customer(rng: random.Random, now: dt.datetime, number: int) -> Any:
    realm = rng.choice(list(REALMS))
    city, postalcode, _, _ = rng.choice(REALMS[realm])
    return Customer(
        name=rng.choice(NAMES),
        surname=f"{rng.choice(SURNAMES)} {rng.choice(SURNAMES)}",
        address=f"Calle {rng.choice(STREETS)}, {rng.randint(1, 120)}",
        city=city,
        postalcode=postalcode,
        external_id=f"C{100_000 + number * 7}",
        realm=realm,
        comment=rng.choice(COMMENTS),
        created=now - dt.timedelta(minutes=rng.randint(60, 3_000_000)),
    )


def _cpe(rng: random.Random, keys: Keys, owner: Any, cpename: str, index: int) -> Any:
    tech = rng.choices(list(TECHS), [share for share, _, _ in TECHS.values()])[0]
    _, models, node = TECHS[tech]
    town = next(town for town in REALMS[owner.realm] if town[0] == owner.city)
    mac = f"{rng.choice(MAKERS)}:{rng.randrange(256):02X}:{rng.randrange(256):02X}:{index % 256:02X}"
    profile = rng.choice(PROFILES)
    return Cpe(
        cpename=cpename,
        internal_id=f"{index + 1:06}",
        external_id=f"S{200_000 + index * 3}",
        realm=owner.realm,
        customer=owner,
        tech=tech,
        model=rng.choice(models),
        sn=f"48575443{rng.getrandbits(32):08X}",
        # The warehouse did not scan the MAC of some.
        mac="" if index % 41 == 40 else mac,
        profile=profile,
        line_profile=f"{tech}-{profile.lower()}",
        access=f"{node}-{owner.realm}-{rng.randint(1, 3)} 0/{rng.randint(0, 7)}/{rng.randint(0, 15)}",
        active=rng.random() < 0.93,
        address=owner.address,
        city=owner.city,
        postalcode=owner.postalcode,
        latitude=round(town[2] + rng.uniform(-0.02, 0.02), 5),
        longitude=round(town[3] + rng.uniform(-0.02, 0.02), 5),
        wifi_ssid=f"{_plain(owner.surname.split()[0]).title()}_{rng.randint(10, 99)}",
        wifi_password=keys.password(f"wifi {cpename}")[:14],
        pppoe_username=f"{cpename}@{owner.realm}.example",
        pppoe_password=keys.password(f"pppoe {cpename}")[:16],
        created=owner.created + dt.timedelta(minutes=rng.randint(0, 50)),
    )


def _pots(rng: random.Random, keys: Keys, cpe: Any, index: int) -> Any:
    voicemail = rng.random() < 0.4
    lineid = f"{cpe.cpename}-1"
    return Pots(
        cpe=cpe,
        cli=f"9{rng.choice('5671')}{rng.randint(0, 9)}{index:06}",
        lineid=lineid,
        label=rng.choice(("Casa", "Oficina", "Fax", "")),
        context=f"{cpe.realm}-residential",
        username=lineid,
        password=keys.password(f"sip {lineid}")[:16],
        voicemail=voicemail,
        voicemail_password=keys.password(f"voicemail {lineid}")[:6] if voicemail else "",
        pbx_extension=str(200 + index) if index % 5 == 0 else "",
    )
