package config_test

import (
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/config"
)

func load(t *testing.T, text string) (config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "capf.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.Load(path)
}

func TestWithoutAFileEverythingHasADefault(t *testing.T) {
	withoutSSH(t)
	got, err := config.Load("")
	if err != nil || !reflect.DeepEqual(got, config.Default()) || got.Validate() != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if got.Phone.TLS() != tls.VersionTLS10 || got.Phone.MaxSessions != 20000 || got.Phone.MessageTimeout.Duration != time.Minute {
		t.Errorf("%+v", got.Phone)
	}
}

func TestLoad(t *testing.T) {
	withoutSSH(t)
	got, err := load(t, "\uFEFF[phone]\nlisten = '127.0.0.1:3804'\nmin-tls = '1.2'\nmax-sessions = 5\nmax-sessions-per-address = 2\nhandshake-timeout = '3s'\nannounce-authentication-type = true\n[admin]\nlisten = 'off'\n[log]\nlevel = 'debug'\nformat = 'json'\n")
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{Phone: config.Phone{Listen: "127.0.0.1:3804", MinTLS: "1.2", MaxSessions: 5, MaxSessionsPerAddress: 2,
		HandshakeTimeout: config.Duration{Duration: 3 * time.Second}, MessageTimeout: config.Duration{Duration: time.Minute}, AnnounceAuthenticationType: true},
		Admin: config.Admin{Listen: "off"}, Log: config.Log{Level: "debug", Format: "json"}, Reset: config.Default().Reset,
		Distribute: config.Default().Distribute, Files: config.Default().Files}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

func TestLoadNamesPlaceAndReason(t *testing.T) {
	for text, want := range map[string][]string{
		"[phone]\nlisten-on = 'x'\n":                                     {"line 2", "phone.listen-on"},
		"[phone\n":                                                       {"line 1"},
		"[phone]\nmax-sessions = 'many'\n":                               {"line 2"},
		"[phone]\nhandshake-timeout = 10\n":                              {"capf.toml: line 2: phone.handshake-timeout: ", "missing unit", `as in handshake-timeout = "10s"`},
		"[phone]\n\nmax-sessions = 1.5\nmin-tls = 1.0\n":                 {"line 3: phone.max-sessions", "as in max-sessions = 20000", "line 4: phone.min-tls", `as in min-tls = "1.0"`},
		"[phone]\nhandshake-timeout = 10s\n":                             {"line 2, column 23: phone.handshake-timeout", "must be quoted", `as in handshake-timeout = "10s"`},
		"[phone]\nhandshake-timeout = '10'\n":                            {"line 2: phone.handshake-timeout", "missing unit"},
		"phone = 1\n":                                                    {"line 1: phone: "},
		"phone = {min-tls = '0.9'}\n":                                    {"line 1: phone.min-tls = 0.9; use 1.0", `as in min-tls = "1.0"`},
		"phone.'min-tls' = '0.9'\n":                                      {"line 1: phone.min-tls = 0.9"},
		"[[phone]]\nmin-tls = '0.9'\n":                                   {"capf.toml: line "},
		"[phone]\nmin-tls = '1.0'\nmin-tls = '1.1'\n":                    {"line 3, column 1: phone.min-tls", "min-tls"},
		"[phone]\nmin-tls = '0.9'\nmax-sessions = 0\n[log]\nlevel='x'\n": {"phone.min-tls = 0.9", "phone.max-sessions = 0", "log.level = x"},
		"[admin]\nlisten = 'localhost'\n":                                {"admin.listen"},
		"[phone]\nmessage-timeout = '0s'\nmax-sessions-per-address=-1\n": {"phone.message-timeout", "phone.max-sessions-per-address"},
	} {
		_, err := load(t, text)
		if !capf.HasCode(err, capf.CodeInvalid) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
			continue
		}
		for _, part := range want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q: %q is missing in %v", text, part, err)
			}
		}
	}
	if _, err := config.Load(filepath.Join(t.TempDir(), "none.toml")); !capf.HasCode(err, capf.CodeInvalid) {
		t.Errorf("no file: %v", err)
	}
}

// Every key has an example, which is right.
func TestExamples(t *testing.T) {
	withoutSSH(t)
	keys := 0
	for _, table := range reflect.VisibleFields(reflect.TypeFor[config.Config]()) {
		for _, field := range reflect.VisibleFields(table.Type) {
			name := field.Tag.Get("toml")
			if name == "-" {
				continue
			}
			keys++
			key := table.Tag.Get("toml") + "." + name
			_, err := load(t, fmt.Sprintf("[%s]\n%s = %s\n", table.Tag.Get("toml"), name, config.Examples[key]))
			if err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
	}
	if keys != len(config.Examples) || keys < 20 {
		t.Errorf("%d keys, %d examples", keys, len(config.Examples))
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("[phone]\nlisten = ':1'\n")
	f.Add("phone.'min-tls' = 1 # x\n[[a.\"b\"]]\nc = {d = [1,\n2]}\nhandshake-timeout = 10s")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := load(t, text)
		if err == nil && got.Validate() != nil {
			t.Errorf("%q was let through", text)
		}
	})
}
