"""Who works with the demo: the users that are seeded, and that the traffic maker plays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoUser:
    """A user of Krill; passwords and tokens come from `deploy.demo.keys`."""

    name: str
    first_name: str = ""
    last_name: str = ""
    group: str = ""
    staff: bool = False
    superuser: bool = False
    #: Whether the user has a password and a token at all.
    can_log_in: bool = True


#: Group -> its permissions, as `app.codename`; `*` stands for every permission on the model.
GROUPS = {
    "CRM": ("isp.*_customer", "isp.*_cpe", "isp.*_pots", "auth.view_user"),
    "Installers": ("isp.view_customer", "isp.view_cpe", "isp.change_cpe", "isp.view_pots"),
    "Support": ("isp.*_customer", "isp.*_cpe", "isp.*_pots"),
    "Supervisors": ("isp.*_customer", "isp.*_cpe", "isp.*_pots", "auth.view_user", "auth.change_user"),
    "Trainees": ("isp.view_customer", "isp.view_cpe", "isp.view_pots"),
}

TRAINEES = ("lucia", "pablo", "nerea", "hugo")

USERS = (
    DemoUser("demo", staff=True, superuser=True),
    DemoUser("crm-demo", group="CRM"),
    DemoUser("crm-netfibra", group="CRM"),
    DemoUser("crm-vialan", group="CRM"),
    DemoUser("crm-ondasur", group="CRM"),
    DemoUser("installer-app", group="Installers"),
    DemoUser("noc-wall", group="Installers"),
    DemoUser("ignacio", "Ignacio", "Ferrer", "Supervisors", staff=True),
    DemoUser("marta", "Marta", "Soler", "Support", staff=True),
    *(DemoUser(name, name.title(), "Prácticas", "Trainees", can_log_in=False) for name in TRAINEES),
)
