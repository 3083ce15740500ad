"""An administrator's management shell, by pypsrp: runs one cmdlet on the lab's endpoint and prints what came back.

    by_hand.py HOST USER PASSWORD CA CMDLET [JSON OBJECT OF PARAMETERS]

A value of the form {"replace": [..]} becomes the hashtable @{Replace=..} that a PSListModifier is made of, and true the
presence of a switch. Output is one JSON document: {"output": [..], "errors": [..]}; the exit code is 1 when there are errors.
"""

import json
import sys

from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan


def typed(value):
    if isinstance(value, dict) and set(value) == {"replace"}:
        return {"Replace": value["replace"]}
    return value


def plain(value):
    if hasattr(value, "adapted_properties"):
        found = {**value.adapted_properties, **value.extended_properties}
        return {k: plain(v) for k, v in found.items()} or str(value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (int, float, bool, type(None))):
        return value
    return str(value)


host, user, password, ca, cmdlet = sys.argv[1:6]
parameters = json.loads(sys.argv[6]) if len(sys.argv) > 6 else {}
endpoint = WSMan(
    host, port=443, path="OcsPowerShell", ssl=True, auth="negotiate", username=user, password=password,
    cert_validation=ca, encryption="never", connection_timeout=30,
)
with endpoint, RunspacePool(endpoint) as pool:
    shell = PowerShell(pool)
    shell.add_cmdlet(cmdlet)
    for name, value in parameters.items():
        if value is True:
            shell.add_parameter(name)
        else:
            shell.add_parameter(name, typed(value))
    output = shell.invoke()
    errors = [
        {"id": error.fq_error, "message": str(error)} for error in shell.streams.error
    ]
print(json.dumps({"output": plain(output), "errors": errors}))
sys.exit(1 if errors else 0)
