"""The support agents: they log in to the admin panel and edit through its forms, as a browser does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import lxml.html
import requests

from deploy.demo.traffic.client import Visitor
from deploy.demo.users import TRAINEES

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class Agent(Visitor):
    """Works through the admin's forms, and logs out after a while."""

    agent = FIREFOX

    @property
    def tasks(self) -> tuple[tuple[int, Callable[[], None]], ...]:
        """What the agent does, by weight."""
        return (
            (6, self.edit_cpe),
            (2, self.edit_line),
            (2, self.edit_customer),
            (2, self.add_and_delete_customer),
        )

    def work(self) -> Iterator[float]:
        self.log_in()
        for _ in range(self.rng.randrange(15, 30)):
            yield self.rng.uniform(4, 16)
            self.choose(*self.tasks)()
        self.submit(self.page("/admin/"), "logout-form", {})
        yield 20

    def page(self, path: str, **query: Any) -> Any:
        """Open a page; the tree of its HTML."""
        return self._tree(self.request("GET", path, params=query))

    def submit(self, page: Any, form_id: str, values: dict[str, Any], button: str = "") -> Any:
        """Fill in a form and send it, hidden fields and CSRF token included; the page that follows.

        Args:
            values: field -> text; or True or False for a checkbox, a set of texts for a multiple choice.

        Raises:
            LookupError: no such form, or no such field.
        """
        form = page.get_element_by_id(form_id)
        for name, value in values.items():
            field = form.inputs[name]
            if isinstance(value, bool):
                field.checked = value
            elif isinstance(value, set):
                field.value.clear()
                field.value.update(value)
            else:
                field.value = value
        sent = form.form_values() + ([(button, "1")] if button else [])
        response = self.request(
            "POST", form.action.removeprefix(self.base), data=sent, headers={"Referer": page.base_url}
        )
        return self._tree(response)

    def _tree(self, response: requests.Response) -> Any:
        response.raise_for_status()
        tree = lxml.html.fromstring(response.text, base_url=response.url)
        tree.make_links_absolute()
        for form in tree.forms:
            form.action = form.action or response.url
        return tree

    def log_in(self) -> None:
        """Log in.

        Raises:
            ValueError: it was refused.
        """
        page = self.page("/admin/login/", next="/admin/")
        values = {"username": self.user, "password": self.keys.password(self.user)}
        if not self.submit(page, "login-form", values).xpath("//form[@id='logout-form']"):
            raise ValueError(f"{self.user} cannot log in")

    def _open_some(self, model: str) -> Any:
        """The form of an object found in the list, by a search or by leafing."""
        query = {"q": self.rng.choice(("pim", "tor", "gir", "cor"))} if self.rng.random() < 0.5 else {}
        listed = (
            self.page(f"/admin/{model}/", p=self.rng.randrange(1, 3), **query)
            if not query
            else self.page(f"/admin/{model}/", **query)
        )
        links = listed.xpath("//table[@id='result_list']//th/a/@href")
        return self.page(self.rng.choice(links).removeprefix(self.base))

    def edit_cpe(self) -> None:
        """A new postal code, Wi-Fi password, or note."""
        rng = self.rng
        values = self.choose(
            (3, {"postalcode": f"{rng.randrange(1000, 53000):05}"}),
            (
                3,
                {
                    "wifi_password": f"Casa-{rng.getrandbits(40):x}",
                    "wifi_ssid": f"Fibra_{rng.randrange(1000)}",
                },
            ),
            (2, {"notes": f"Incidencia {rng.randrange(10_000)}: revisada", "active": True}),
            (
                1,
                {"pppoe_password": f"{rng.getrandbits(64):x}", "profile": rng.choice(("300M", "600M", "1G"))},
            ),
        )
        self.submit(self._open_some("isp/cpe"), "cpe_form", values, "_save")

    def edit_line(self) -> None:
        """The voicemail of a phone line."""
        on = self.rng.random() < 0.5
        values = {"voicemail": on, "voicemail_password": f"{self.rng.randrange(10_000):04}" if on else ""}
        self.submit(self._open_some("isp/pots"), "pots_form", values, "_save")

    def edit_customer(self) -> None:
        """A comment, or an address."""
        values = self.choose(
            (1, {"comment": self.rng.choice(("Cambio de titular", "Llamar por la mañana", ""))}),
            (1, {"address": f"Avenida del Puerto, {self.rng.randrange(1, 200)}"}),
        )
        self.submit(self._open_some("isp/customer"), "customer_form", values, "_save")

    def add_and_delete_customer(self) -> None:
        """A customer who signs up, and thinks better of it."""
        name = f"Prueba {self.rng.randrange(10**6):06}"
        values = {
            "name": name,
            "surname": "Anulada",
            "realm": "tor",
            "city": "Torrevieja",
            "external_id": name[-6:],
        }
        self.submit(self.page("/admin/isp/customer/add/"), "customer_form", values, "_save")
        listed = self.page("/admin/isp/customer/", q=name)
        link = listed.xpath("//table[@id='result_list']//th/a/@href")[0]
        page = self.page(link.removeprefix(self.base).replace("/change/", "/delete/"))
        sent = [(field.name, field.value) for field in page.xpath("//div[@id='content']//form//input[@name]")]
        self.request("POST", page.base_url.removeprefix(self.base), data=sent, headers={"Referer": page.base_url})


class Supporter(Agent):
    """Marta: customers, CPEs, lines."""

    user = "marta"


class Supervisor(Agent):
    """Ignacio: the same, the trainees' rights, and many CPEs at once."""

    user = "ignacio"

    @property
    def tasks(self) -> tuple[tuple[int, Callable[[], None]], ...]:
        """The supervisor's tasks too."""
        return (*super().tasks, (3, self.edit_user), (1, self.activate_cpes))

    def edit_user(self) -> None:
        """Flags and groups of a trainee."""
        listed = self.page("/admin/auth/user/", q=self.rng.choice(TRAINEES))
        page = self.page(listed.xpath("//table[@id='result_list']//th/a/@href")[0].removeprefix(self.base))
        groups = page.get_element_by_id("id_groups").value_options
        values = self.choose(
            (2, {"groups": {group for group in groups if self.rng.random() < 0.4}}),
            (1, {"is_superuser": self.rng.random() < 0.5}),
            (1, {"is_staff": self.rng.random() < 0.5}),
            (1, {"is_active": self.rng.random() < 0.7}),
        )
        self.submit(page, "user_form", values, "_save")

    def activate_cpes(self) -> None:
        """Activate what is inactive, from the list, in one go."""
        page = self.page("/admin/isp/cpe/", active__exact="0")
        if chosen := page.xpath("//input[@name='_selected_action']/@value")[:5]:
            form = page.get_element_by_id("changelist-form")
            token = form.inputs["csrfmiddlewaretoken"].value
            sent = [("csrfmiddlewaretoken", token), ("action", "activate"), ("index", "0")]
            sent += [("_selected_action", value) for value in chosen]
            path = page.base_url.removeprefix(self.base)
            self.request("POST", path, data=sent, headers={"Referer": page.base_url})


AGENTS = (Supporter, Supervisor)
