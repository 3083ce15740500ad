//! With pypsrp, over every way in.

use std::process::Stdio;

use crate::host::{PKI, start};

const SCRIPT: &str = r#"
import json, sys
from pypsrp.client import Client
from pypsrp.powershell import PowerShell, RunspacePool
from pypsrp.wsman import WSMan

port, scheme, ca, auth = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
options = dict(port=port, username="CONTOSO\\admin", password="s3cret \u00e9", auth=auth, ssl=scheme == "https",
               cert_validation=ca if scheme == "https" else True)
with WSMan("localhost", **options) as wsman, RunspacePool(wsman) as pool:
    def invoke(build):
        shell = PowerShell(pool)
        build(shell)
        return shell.invoke(), [str(e) for e in shell.streams.error], [str(w) for w in shell.streams.warning]

    for build in (
        lambda s: s.add_cmdlet("Set-CsPersistentChatActiveServer").add_parameters({"ActiveServers": ["a", "b"]}),
        lambda s: s.add_script("Set-CsPersistentChatActiveServer -ActiveServers @{Add='c \u4e2d'; Remove='A'} -Verbose"),
    ):
        output, errors, _ = invoke(build)
        assert (output, errors) == ([], []), (output, errors)
    output, _, warnings = invoke(lambda s: s.add_cmdlet("Get-CsPersistentChatState"))
    assert output[0].adapted_properties["PoolState"] == "Normal", output
    assert output[0].adapted_properties["ActiveServers"] == ["b", "c \u4e2d"], output
    assert warnings == ["a warning"], warnings
    output, _, _ = invoke(lambda s: s.add_cmdlet("Get-CsPersistentChatState").add_cmdlet("Select-Object")
                          .add_parameter("ExpandProperty", "ActiveServers"))
    assert output == ["b", "c \u4e2d"], output
    output, errors, _ = invoke(lambda s: s.add_cmdlet("Get-CsPersistentChatState").add_parameter("Identity", "nope"))
    assert errors == ['Cannot find item "nope".'], errors
    output, errors, _ = invoke(lambda s: s.add_cmdlet("Get-Nothing"))
    assert "is not recognized" in errors[0], (output, errors)
    output, errors, _ = invoke(lambda s: s.add_script("Get-CsPersistentChatState; $x = 1"))
    assert output == [] and "plain command lines" in errors[0], (output, errors)
    output, _, _ = invoke(lambda s: s.add_cmdlet("Test-Echo").add_argument(1).add_statement()
                          .add_cmdlet("Test-Echo").add_argument("two"))
    assert output == [1, "two"], output
    large = "0123456789\u00e9\U0001f600" * 30000
    output, _, _ = invoke(lambda s: s.add_cmdlet("Test-Echo").add_argument(large))
    assert output == [large]
    sleeper = PowerShell(pool)
    sleeper.add_cmdlet("Test-Sleep")
    sleeper.begin_invoke()
    sleeper.stop()
    assert sleeper.state == 3, sleeper.state

output, streams, had_errors = Client("localhost", **options).execute_ps("Get-CsPersistentChatState")
assert "PoolState     : Normal" in output and not had_errors, (output, streams.error)

with WSMan("localhost", **options) as wsman, RunspacePool(wsman, configuration_name="Restricted") as pool:
    shell = PowerShell(pool)
    shell.add_script("Get-CsPersistentChatState")
    assert shell.invoke() == [] and "no-language" in str(shell.streams.error[0]), shell.streams.error
try:
    with WSMan("localhost", **dict(options, password="wrong")) as wsman, RunspacePool(wsman):
        raise SystemExit("a wrong password got in")
except Exception as error:
    assert type(error).__name__ in ("AuthenticationError", "WinRMTransportError"), repr(error)
print("done")
"#;

async fn drive(tls: bool, auth: &str) {
    let lab = start(tls).await;
    let dir = tempfile::tempdir().unwrap();
    let (script, ca) = (dir.path().join("drive.py"), dir.path().join("ca.pem"));
    std::fs::write(&script, SCRIPT).unwrap();
    std::fs::write(&ca, &PKI.ca).unwrap();
    let python = std::env::var_os("PSRP_PYTHON").expect("PSRP_PYTHON is not set; see the head of this test");
    let output = tokio::process::Command::new(python)
        .arg(&script)
        .args([lab.addr.port().to_string().as_str(), if tls { "https" } else { "http" }])
        .arg(&ca)
        .arg(auth)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.trim() == "done", "{out}{err}");
}

#[tokio::test]
#[ignore = "needs PSRP_PYTHON with pypsrp"]
async fn pypsrp_drives_it_sealed_over_http() {
    drive(false, "negotiate").await;
}

#[tokio::test]
#[ignore = "needs PSRP_PYTHON with pypsrp"]
async fn pypsrp_drives_it_bound_over_https() {
    drive(true, "negotiate").await;
}

#[tokio::test]
#[ignore = "needs PSRP_PYTHON with pypsrp"]
async fn pypsrp_drives_it_with_plain_ntlm_and_with_basic() {
    drive(true, "ntlm").await;
    drive(true, "basic").await;
}
