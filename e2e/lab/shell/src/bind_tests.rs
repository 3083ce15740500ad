use super::*;

fn parameter(name: &str, kind: ParameterType, position: Option<u32>) -> Parameter {
    Parameter { name: name.into(), aliases: vec![], kind, position }
}

fn set(name: &str, parameters: &[&str], mandatory: &[&str]) -> ParameterSet {
    let owned = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
    ParameterSet { name: name.into(), parameters: owned(parameters), mandatory: owned(mandatory) }
}

fn active_server() -> CmdletInfo {
    CmdletInfo {
        name: "Set-CsPersistentChatActiveServer".into(),
        parameters: vec![
            parameter("Identity", ParameterType::Text, Some(2)),
            parameter("ActiveServers", ParameterType::ListModifier, None),
            parameter("Swap", ParameterType::Switch, None),
            parameter("Force", ParameterType::Switch, None),
            parameter("PoolState", ParameterType::Enum(vec!["Normal".into(), "FailedOver".into()]), None),
        ],
        sets: vec![
            set("Explicit", &["Identity", "ActiveServers", "Force", "PoolState"], &["ActiveServers"]),
            set("Swap", &["Identity", "Swap", "Force"], &["Swap"]),
        ],
    }
}

fn named(name: &str, value: impl Into<Value>) -> (Option<String>, Value) {
    (Some(name.into()), value.into())
}

fn strings(items: &[&str]) -> Value {
    Value::array(items.iter().map(|s| Value::from(*s)).collect())
}

fn refusal(arguments: &[(Option<String>, Value)]) -> String {
    let record = bind(&active_server(), arguments).unwrap_err();
    assert_eq!(record.exception_type, "System.Management.Automation.ParameterBindingException");
    record.id.split(',').next().unwrap().to_owned()
}

#[test]
fn names_bind_in_any_case_shortened_positional_or_split_from_their_values() {
    let expected = vec![
        ("Force".to_owned(), Bound::Flag(true)),
        ("ActiveServers".to_owned(), Bound::List(ListChange::Replace(vec!["a".into(), "b".into()]))),
        ("Identity".to_owned(), Bound::Text("pool".into())),
    ];
    for arguments in [
        vec![named("FORCE", Value::Null), named("act", strings(&["a", "b"])), named("Identity", "pool")],
        vec![
            named("Force", true),
            named("-ActiveServers", Value::Null),
            (None, strings(&["a", "b"])),
            (None, "pool".into()),
        ],
    ] {
        let binding = bind(&active_server(), &arguments).unwrap();
        assert_eq!((binding.set.as_str(), &binding.parameters), ("Explicit", &expected));
    }
}

#[test]
fn a_list_is_replaced_emptied_or_changed() {
    let bound = |value: Value| match bind(&active_server(), &[named("ActiveServers", value)])
        .unwrap()
        .parameters
        .remove(0)
    {
        (_, Bound::List(change)) => change,
        other => panic!("{other:?}"),
    };
    let current = ["a".to_owned(), "b".to_owned()];
    assert_eq!(bound("c".into()).apply(&current), ["c"]);
    assert_eq!(bound(Value::Null).apply(&current), Vec::<String>::new());
    let table = Value::hashtable(vec![("Add".into(), strings(&["B", "c"])), ("remove".into(), "A".into())]);
    assert_eq!(bound(table).apply(&current), ["b", "c"]);
    let replace = Value::hashtable(vec![("Replace".into(), strings(&["x"]))]);
    assert_eq!(bound(replace).apply(&current), ["x"]);
}

#[test]
fn every_mistake_has_the_error_id_of_powershell() {
    assert_eq!(refusal(&[named("Nope", 1)]), "NamedParameterNotFound");
    assert_eq!(refusal(&[]), "MissingMandatoryParameter");
    assert_eq!(refusal(&[named("Swap", true), named("ActiveServers", "a")]), "AmbiguousParameterSet");
    assert_eq!(refusal(&[named("Force", true), named("force", true)]), "ParameterAlreadyBound");
    assert_eq!(refusal(&[named("PoolState", "Broken")]), "CannotConvertArgumentNoMessage");
    assert_eq!(refusal(&[named("Identity", Value::Null)]), "ParameterArgumentValidationErrorNullNotAllowed");
    assert_eq!(refusal(&[named("Identity", strings(&["a", "b"]))]), "CannotConvertArgumentNoMessage");
    assert_eq!(refusal(&[(None, "a".into()), (None, "b".into())]), "PositionalParameterNotFound");
    assert_eq!(refusal(&[named("-Identity", Value::Null)]), "MissingArgument");
    let both = Value::hashtable(vec![("Replace".into(), "a".into()), ("Add".into(), "b".into())]);
    assert_eq!(refusal(&[named("ActiveServers", both)]), "CannotConvertArgumentNoMessage");
    let ambiguous = CmdletInfo {
        parameters: vec![
            parameter("SqlServer", ParameterType::Text, None),
            parameter("SqlInstance", ParameterType::Text, None),
        ],
        ..active_server()
    };
    assert!(bind(&ambiguous, &[named("Sql", "x")]).unwrap_err().id.starts_with("AmbiguousParameter,"));
}

#[test]
fn enums_take_names_in_any_case_numbers_and_enum_objects() {
    for value in ["failedover".into(), Value::I32(1), Value::enumeration("X.PoolState", "FailedOver", 1)] {
        let binding =
            bind(&active_server(), &[named("PoolState", value), named("ActiveServers", "a")]).unwrap();
        assert_eq!(binding.parameters[0].1, Bound::Text("FailedOver".into()));
    }
}

#[test]
fn common_parameters_work_and_are_kept_from_the_cmdlet() {
    let arguments =
        [named("Swap", true), named("ea", "stop"), named("Verbose", Value::Null), named("OutVariable", "x")];
    let binding = bind(&active_server(), &arguments).unwrap();
    assert_eq!(binding.parameters.len(), 1);
    assert_eq!(binding.common, Common { on_error: OnError::Stop, verbose: true });
}
