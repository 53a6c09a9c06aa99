package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/config"
)

func TestReset(t *testing.T) {
	t.Setenv(config.AuthorizationVariable, "Bearer geheim")
	for text, want := range map[string]config.Reset{
		"": {Rate: 5, Timeout: config.Duration{Duration: 10 * time.Second}},
		"[reset]\ncommand = ['/bin/reset', '--phone={device}']\nrate = 0.5\ntimeout = '3s'\n": {Command: []string{"/bin/reset", "--phone={device}"}, Rate: 0.5,
			Timeout: config.Duration{Duration: 3 * time.Second}},
		"[reset]\nurl = 'https://cm.example/{device}'\nrate = 2\n": {URL: "https://cm.example/{device}", Rate: 2,
			Timeout: config.Duration{Duration: 10 * time.Second}, Authorization: "Bearer geheim"},
	} {
		got, err := load(t, text)
		if err != nil || !reflect.DeepEqual(got.Reset, want) || got.Reset.IsSet() != (text != "") {
			t.Errorf("%q: %+v, %v", text, got.Reset, err)
		}
	}
}

func TestResetThatCannotBe(t *testing.T) {
	for text, want := range map[string]string{
		"command = []":                          "name a program",
		"command = ['']":                        "name a program",
		"command = ['reset']":                   "into an argument",
		"command = ['{device}', '{device}']":    "in the name of the program",
		`command = ["reset", "\u0000{device}"]`: "NUL",
		"command = 'reset {device}'":            "line 2",
		"command = ['reset', '{device}']\nurl = 'https://cm.example/{device}?key=geheim'": "either command or url",
		"url = 'https://cm.example/reset?key=geheim'":                                     "https://host/path with {device}",
		"url = 'ftp://cm.example/{device}'":                                               "https://host/path",
		"url = ':{device}?key=geheim'":                                                    "https://host/path",
		"rate = 0":                                                                        "reset.rate",
		"rate = -1":                                                                       "reset.rate",
		"rate = nan":                                                                      "reset.rate",
		"rate = 5000":                                                                     "reset.rate",
		"timeout = '0s'":                                                                  "reset.timeout",
		"authorization = 'Bearer geheim'":                                                 "unknown key",
	} {
		_, err := load(t, "[reset]\n"+text+"\n")
		if !capf.HasCode(err, capf.CodeInvalid) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	t.Setenv(config.AuthorizationVariable, "Bearer\ngeheim")
	_, err := load(t, "[reset]\nurl = 'https://cm.example/{device}'\n")
	if err == nil || !strings.Contains(err.Error(), config.AuthorizationVariable) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a header that cannot be: %v", err)
	}
}

// The secret is printed in no way.
func TestSecretIsNotPrinted(t *testing.T) {
	settings := config.Default()
	settings.Reset.Authorization = "Bearer geheim"
	var out bytes.Buffer
	fmt.Fprintf(&out, "%v %+v %#v %s", settings, settings, settings.Reset.Authorization, settings.Reset.Authorization)
	slog.New(slog.NewTextHandler(&out, nil)).Info("x", "settings", settings, "secret", settings.Reset.Authorization)
	if err := json.NewEncoder(&out).Encode(settings); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "geheim") || !strings.Contains(out.String(), "(secret)") {
		t.Errorf("printed: %s", out.String())
	}
}
