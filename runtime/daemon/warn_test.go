package daemon

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/store/sqlite"
)

// The administrator sees at every start how many phones keep the floor low.
func TestWarnOfOldTLS(t *testing.T) {
	stored, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), StoreFile), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer stored.Close()
	warning := func(minimum string) string {
		var log bytes.Buffer
		settings := config.Default()
		settings.Phone.MinTLS = minimum
		d := &Daemon{store: stored, options: Options{Config: settings, Log: slog.New(slog.NewTextHandler(&log, nil))}}
		if err := d.warnTLS(t.Context()); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	call(t, stored, "SEP0011223344A1", "")
	if text := warning("1.0"); !strings.Contains(text, "no phone is known to need it") || !strings.Contains(text, "never-called=1") {
		t.Error(text)
	}
	call(t, stored, "SEP0011223344A2", "1.0")
	call(t, stored, "SEP0011223344A3", "1.0")
	call(t, stored, "SEP0011223344A4", "1.3")
	if text := warning("1.0"); !strings.Contains(text, "phones need it") || !strings.Contains(text, "last-seen-1.0=2 last-seen-1.1=0 last-seen-1.2=0 last-seen-1.3=1 never-called=1") {
		t.Error(text)
	}
	for _, high := range []string{"1.2", "1.3"} {
		if text := warning(high); text != "" {
			t.Errorf("min-tls %s: %s", high, text)
		}
	}
}

// call has a phone on record as having called with a TLS version, or never for "".
func call(t *testing.T, stored *sqlite.Store, device, version string) {
	t.Helper()
	operation := capf.OperationInstall
	changed, err := stored.ApplyChanges(context.Background(), capf.ApplyAdd, []capf.PhoneChange{{Device: device, Operation: &operation}}, capf.ChangeContext{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if version == "" {
		return
	}
	err = stored.BeginOperation(context.Background(), device, changed[0].Phone.Last.Ref, capf.SessionInfo{Instance: "x", Started: noon, TLS: version})
	if err != nil {
		t.Fatal(err)
	}
}
