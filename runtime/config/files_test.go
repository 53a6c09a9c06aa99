package config_test

import (
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
	"capf/runtime/config"
)

func TestFiles(t *testing.T) {
	withoutSSH(t)
	for text, want := range map[string]config.Files{
		"":                       {Listen: "off"},
		"[files]\n":              {Listen: "off"},
		"[files]\nlisten = ''\n": {},
		"[files]\nlisten = ':6970'\nfolder = '/srv/tftp'\n": {Listen: ":6970", Folder: "/srv/tftp"},
		"[files]\nlisten = 'off'\nfolder = '/srv/tftp'\n":   {Listen: "off", Folder: "/srv/tftp"},
	} {
		got, err := load(t, text)
		if err != nil || got.Files != want || got.Files.IsOn() != strings.HasPrefix(want.Listen, ":") {
			t.Errorf("%q: %+v, %v", text, got.Files, err)
		}
	}
	for text, want := range map[string]string{"listen = '6970'": "files.listen = 6970", "listen = 'on'": "files.listen", "port = 6970": "unknown key files.port"} {
		if _, err := load(t, "[files]\n"+text+"\n"); !capf.HasCode(err, capf.CodeInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCheckEvery(t *testing.T) {
	withoutSSH(t)
	for text, want := range map[string]time.Duration{"": time.Hour, "check-every = 'off'": 0, "check-every = '1s'": time.Second, "check-every = '36h'": 36 * time.Hour} {
		got, err := load(t, "[distribute]\n"+text+"\n")
		if err != nil || got.Distribute.CheckEvery.Duration != want {
			t.Errorf("%q: %v, %v", text, got.Distribute.CheckEvery, err)
			continue
		}
		written, err := got.Distribute.CheckEvery.MarshalText()
		var again config.Interval
		if err != nil || again.UnmarshalText(written) != nil || again.Duration != want {
			t.Errorf("%v is written as %q, %v", want, written, err)
		}
	}
	for _, value := range []string{"'0s'", "'0'", "'-1h'", "'999ms'", "'hourly'", "''", "'OFF'", "3600", "true"} {
		if _, err := load(t, "[distribute]\ncheck-every = "+value+"\n"); !capf.HasCode(err, capf.CodeInvalid) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
