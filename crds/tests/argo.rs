//! The health script for Argo CD, run as Argo CD runs it: Lua 5.1, with no library but the basic one and `table`.

use std::path::PathBuf;

use mlua::{Lua, LuaOptions, LuaSerdeExt, StdLib, Table};
use serde_json::{Value, json};

fn text(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const FOLDER: &str = "examples/gitops/argocd/persistentchat.io/PersistentChatPool";

/// Status and message.
fn health(object: &Value) -> (String, String) {
    let lua = Lua::new_with(StdLib::TABLE, LuaOptions::default()).unwrap();
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let answer: Table = lua.load(text(&format!("{FOLDER}/health.lua"))).eval().unwrap();
    (answer.get("status").unwrap(), answer.get("message").unwrap())
}

#[test]
fn argo_cd_judges_a_pool_as_its_own_test_file_says() {
    let tests = yaml(&format!("{FOLDER}/health_test.yaml"));
    let tests = tests["tests"].as_array().unwrap();
    let files = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(FOLDER).join("testdata");
    assert_eq!(tests.len(), std::fs::read_dir(files).unwrap().count(), "a file in testdata is not tested");
    for test in tests {
        let path = test["inputPath"].as_str().unwrap();
        let wanted = &test["healthStatus"];
        let (status, message) = health(&yaml(&format!("{FOLDER}/{path}")));
        assert_eq!(json!({"status": status, "message": message}), *wanted, "{path}");
    }
}

#[test]
fn argo_cd_understands_what_the_operator_writes() {
    for (moment, wanted) in
        [("before", "Healthy"), ("during", "Progressing"), ("blocked", "Progressing"), ("after", "Healthy")]
    {
        let status = yaml(&format!("operator/tests/golden/status-{moment}.yaml"));
        let generation = &status["observedGeneration"];
        let object = json!({"metadata": {"name": "chat", "generation": generation}, "status": status});
        assert_eq!(health(&object).0, wanted, "{moment}");
        let changed = json!({"metadata": {"name": "chat", "generation": 99}, "status": status});
        assert_eq!(health(&changed).0, "Progressing", "{moment}, and the spec has changed since");
    }
}

#[test]
fn the_config_map_holds_the_script() {
    let map = yaml("examples/gitops/argocd/argocd-cm.yaml");
    let script = &map["data"]["resource.customizations.health.persistentchat.io_PersistentChatPool"];
    assert_eq!(script.as_str().unwrap(), text(&format!("{FOLDER}/health.lua")));
}
