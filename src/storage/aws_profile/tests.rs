use tempfile::TempDir;

use super::*;

/// A home folder with these two files, if they have text.
fn home(credentials: &str, config: &str) -> TempDir {
    let home = TempDir::new().unwrap();
    let folder = home.path().join(".aws");
    std::fs::create_dir(&folder).unwrap();
    for (name, text) in [("credentials", credentials), ("config", config)] {
        if !text.is_empty() {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
    home
}

fn source(home: &TempDir, variables: &[(&str, &str)]) -> ProfileSource {
    let home = home.path().display().to_string();
    let in_home = |value: &str| value.replace("{home}", &home);
    let all = variables.iter().map(|(name, value)| (name.to_string(), in_home(value)));
    ProfileSource::find(&all.chain([("HOME".to_string(), home.clone())]).collect()).unwrap()
}

/// Key, secret, token and region, `-` for what is not there; or the error's text without the home folder.
fn read(credentials: &str, config: &str, variables: &[(&str, &str)]) -> String {
    let home = home(credentials, config);
    match source(&home, variables).read() {
        Ok(None) => "nothing".to_string(),
        Ok(Some(profile)) => {
            let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_string());
            let (key, secret, token) =
                profile.credential.map_or((None, None, None), |c| (Some(c.key_id), Some(c.secret_key), c.token));
            [key, secret, token, profile.region].map(or_dash).join(" ")
        }
        Err(error) => error.to_string().replace(home.path().to_str().unwrap(), "~"),
    }
}

const KEYS: &str = "aws_access_key_id = K\naws_secret_access_key=S/+==\n";

#[test]
fn a_profile_is_found_where_aws_tools_find_it() {
    let check = |credentials: &str, config: &str, variables: &[(&str, &str)], expected: &str| {
        assert_eq!(read(credentials, config, variables), expected, "{credentials:?} {config:?} {variables:?}");
    };
    let default = format!("[default]\n{KEYS}");
    check("", "", &[], "nothing");
    check("[other]\nx = y\n", "", &[], "nothing");
    check(&default, "", &[], "K S/+== - -");
    check("", &format!("[default]\n{KEYS}region = eu-west-1\n"), &[], "K S/+== - eu-west-1");
    check(&default, "[default]\naws_access_key_id = old\nregion=r\n", &[], "K S/+== - r");
    check("", "[default]\nregion=r\n", &[], "- - - r");
    let two = format!(
        "# ours\n[default]\naws_access_key_id=x\naws_secret_access_key=y\n\n[ work ]\r\n{KEYS}aws_session_token = T # for now\n"
    );
    check(&two, "[profile  work]\nregion = r\n[work]\nregion = no\n", &[("AWS_PROFILE", "work")], "K S/+== T r");
    check(&two, "", &[("AWS_PROFILE", "work"), ("AWS_DEFAULT_PROFILE", "default")], "K S/+== T -");
    check(&two, "", &[("AWS_DEFAULT_PROFILE", "work")], "K S/+== T -");
    check(&two, "", &[], "x y - -");
    check("", "", &[("AWS_SHARED_CREDENTIALS_FILE", "{home}/keys")], "nothing");
    check("", &default, &[("AWS_CONFIG_FILE", "{home}/.aws/absent")], "nothing");
    check("", &default, &[("AWS_CONFIG_FILE", "~/.aws/config")], "K S/+== - -");
    check("", &default, &[("AWS_SHARED_CREDENTIALS_FILE", "{home}/.aws/config")], "K S/+== - -");
}

#[test]
fn lines_that_are_no_setting_of_the_profile_are_passed_over() {
    let text = "aws_access_key_id = before\n[default]\n; aws_access_key_id = comment\n  aws_access_key_id = nested\nnothing\n\
                s3 =\n  max = 1\nAWS_ACCESS_KEY_ID = K\naws_secret_access_key = S#1 ; note\naws_session_token =\n[x]\naws_access_key_id=x\n";
    assert_eq!(read(text, "", &[]), "K S#1 - -");
}

#[test]
fn profiles_that_give_no_keys_are_refused_by_name() {
    let check = |credentials: &str, config: &str, expected: &str| {
        let error = read(credentials, config, &[("AWS_PROFILE", "work")]);
        assert!(error.starts_with(expected), "{error}");
    };
    check("", "", "profile \"work\" is in none of ~/.aws/credentials, ~/.aws/config");
    check("[default]\n", "[work]\n", "profile \"work\" is in none of");
    check("[work]\naws_access_key_id = K\n", "", "profile \"work\" has aws_access_key_id but no aws_secret_access_key");
    check(
        "[work]\naws_secret_access_key = S\n",
        "",
        "profile \"work\" has aws_secret_access_key but no aws_access_key_id",
    );
    check(
        "",
        "[profile work]\nrole_arn = arn\n",
        "profile \"work\" takes its keys from \"role_arn\", which is not supported",
    );
    let error = read("", "", &[("AWS_SHARED_CREDENTIALS_FILE", "{home}")]);
    assert!(error.starts_with("~: Is a directory"), "{error}");
}

#[tokio::test]
async fn keys_that_changed_are_read_again_and_bad_ones_are_not_taken() {
    let home = home(&format!("[default]\n{KEYS}"), "");
    let file = home.path().join(".aws/credentials");
    let source = source(&home, &[]);
    let first = source.read().unwrap().unwrap().credential.unwrap();
    let provider = ProfileCredentials::new(source, first);
    let key_after = async |text: &str| {
        std::fs::write(&file, text).unwrap();
        provider.held.lock().unwrap().looked -= LOOK_EVERY;
        provider.get_credential().await.unwrap().key_id.clone()
    };
    assert_eq!(key_after("[default]\naws_access_key_id=longer\naws_secret_access_key=S\n").await, "longer");
    assert_eq!(key_after("[default]\naws_access_key_id=half").await, "longer");
    assert_eq!(key_after("").await, "longer");
    assert_eq!(key_after("[default]\naws_access_key_id=last\naws_secret_access_key=S\n").await, "last");
    // Not looked at again at once.
    std::fs::write(&file, "[default]\naws_access_key_id=too soon\naws_secret_access_key=S\n").unwrap();
    assert_eq!(provider.get_credential().await.unwrap().key_id, "last");
}
