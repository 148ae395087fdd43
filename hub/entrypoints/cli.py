"""The `hub` command: one module per command, imported when asked for, so that all start fast."""

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import typer
from rich.console import Console
from typer.core import TyperGroup
from typer.main import get_command

from hub.errors import HubError

COMMANDS: dict[str, str | dict[str, str]] = {
    "up": "up:up",
    "doctor": "doctor:doctor",
    "migrate": "migrate:migrate",
    "serve": "serve:serve",
    "worker": "worker:worker",
    "scheduler": "scheduler:scheduler",
    "programme": {"apply": "programme:apply", "occupancy": "occupancy:occupancy"},
    "sample": {"load": "sample:load"},
    "client": {
        "create": "client:create",
        "list": "client:list_",
        "rotate": "client:rotate",
        "disable": "client:disable",
    },
    "connector": {"new": "connector:new", "list": "connector:list_"},
    "intake": {
        "list": "intake:list_",
        "replay": "intake:replay",
        "check": "pulling:check",
        "backfill": "pulling:backfill",
        "streams": "pulling:streams",
        "found": "pulling:found",
        "drop": "dropping:drop",
    },
    "egress": {
        "list": "egress:list_",
        "log": "egress:log",
        "replay": "egress:replay",
        "ping": "egress:ping",
    },
    "identity": {
        "match": "match:match",
        "runs": "match:runs",
        "explain": "match:explain",
        "dedupe": "dedupe:dedupe",
    },
    "ledger": {
        "verify": "ledger:verify",
        "rebuild-daily": "ledger:rebuild_daily",
        "import": "opening:import_",
    },
    "member": {
        "export": "member:export",
        "erase": "member:erase",
        "retain": "member:retain",
        "release": "member:release",
    },
    "keys": {
        "status": "keys:status",
        "rotate": "keys:rotate",
        "activate": "keys:activate",
        "rewrap": "keys:rewrap",
        "reindex": "keys:reindex",
        "retire": "keys:retire",
    },
    "accounting": {
        "policy": "accounting:policy",
        "opening": "accounting:opening",
        "propose": "accounting:propose",
        "approve": "accounting:approve",
        "reject": "accounting:reject",
        "estimates": "accounting:estimates",
        "recognise": "accounting:recognise",
        "show": "accounting:show",
        "cohorts": "accounting:cohorts",
        "sensitivity": "accounting:sensitivity",
        "ageing": "accounting:ageing",
    },
    "audit": {"verify": "audit:verify", "anchor": "audit:anchor"},
    "dispute": {
        "list": "dispute:list_",
        "open": "dispute:open_",
        "say": "dispute:say",
        "withdraw": "dispute:withdraw",
        "resolve": "dispute:resolve",
    },
    "correction": {
        "list": "correction:list_",
        "propose": "correction:propose",
        "approve": "correction:approve",
        "reject": "correction:reject",
    },
    "period": {
        "check": "period:check",
        "waive": "period:waive",
        "approve": "period:approve",
        "issue": "period:issue",
        "history": "period:history",
    },
    "payment": {
        "prepare": "payment:prepare",
        "release": "payment:release",
        "list": "payment:list_",
        "file": "payment:file",
        "paid": "payment:paid",
    },
    "settle": {
        "": "settle:settle",
        "verify": "verifying:verify",
        "keys": "verifying:keys",
        "exposure": "exposure:exposure",
    },
    "reconcile": {
        "map": "reconcile:map_",
        "take": "reconcile:take",
        "run": "reconcile:run",
        "ageing": "reconcile:ageing",
        "breaks": "breaks:breaks",
        "show": "breaks:show",
        "matches": "breaks:matches",
        "confirm": "breaks:confirm",
        "reject": "breaks:reject",
        "investigate": "breaks:investigate",
        "match": "breaks:match_",
        "resolve": "breaks:resolve",
        "write-off": "breaks:write_off",
        "adjust": "breaks:adjust",
        "reopen": "breaks:reopen",
    },
    "journals": {
        "post": "journals:post",
        "show": "journals:show",
        "export": "journals:export",
        "eliminate": "journals:elimination",
    },
    "token": "token:token",
    "benefit": {"grant": "benefit:grant", "report": "benefit:report"},
    "voucher": {"generate": "voucher:generate_", "export": "voucher:export"},
}
"""Each command's module and function below hub.entrypoints.commands; a group has several.

What begins with none of a group's names is for the command without a name, if it has one.
"""

_GROUPS_SAY = {
    "accounting": "What is owed for points, and when it becomes revenue.",
    "audit": "Who was shown personal data.",
    "benefit": "Benefits that are granted to many members at once.",
    "client": "Systems that call for themselves, and their secrets.",
    "connector": "The systems that the hub speaks to.",
    "correction": "What was settled wrongly, put right by the next close.",
    "dispute": "Lines of a statement that somebody says are wrong.",
    "egress": "What subscribers are told.",
    "identity": "Which records are of one person.",
    "intake": "What came in from the connected systems.",
    "journals": "A period in the books of each legal entity.",
    "keys": "The master keys, in versions.",
    "ledger": "The points of all members.",
    "member": "What a person may ask, and what forbids it.",
    "payment": "What a period comes to, from account to account.",
    "period": "Settlement periods, from check to issue.",
    "programme": "The group's configuration.",
    "reconcile": "Businesses' own books and bank statements, beside the hub's lines.",
    "sample": "The sample group.",
    "voucher": "Codes of vouchers, in batches.",
    "settle": "Close a settlement period: `hub settle PERIOD`; and what was stated of it.",
}


class _OnDemand(TyperGroup):
    """A group whose commands are imported when they are asked for."""

    table: Mapping[str, str | dict[str, str]] = COMMANDS

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for name in self.table if name]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        place = self.table.get(cmd_name, self.table.get(""))
        if isinstance(place, dict):
            group = type("_Group", (_OnDemand,), {"table": place})
            return group(name=cmd_name, help=_GROUPS_SAY[cmd_name], no_args_is_help=True)
        return None if place is None else _command(cmd_name, place)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command's name; where one has none, what begins otherwise is for that one."""
        if "" in self.table and args and args[0] not in {*self.table, "--help"}:
            args = ["", *args]
        return super().parse_args(ctx, args)


def _command(name: str, place: str) -> Any:
    module, function = place.split(":")
    single = typer.Typer(add_completion=False)
    single.command(name)(getattr(import_module(f"hub.entrypoints.commands.{module}"), function))
    return get_command(single)


app = typer.Typer(
    cls=_OnDemand, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def hub() -> None:
    """The group's membership hub: one member, one balance, every business settled to the cent."""


def main() -> None:
    """Run the command line; what the hub says no to is one line, not a traceback."""
    try:
        app()
    except HubError as refusal:
        errors = Console(stderr=True, highlight=False, soft_wrap=True)
        errors.print(f"hub: {refusal.message} [{refusal.code}]", markup=False, style="red")
        sys.exit(1)


if __name__ == "__main__":
    main()
