package daemon

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/store/sqlite"
)

// What the configuration says is what is run, and what it cannot mean is refused before anything is opened.
func TestNewResetter(t *testing.T) {
	settings := config.Default().Reset
	if resetter, err := NewResetter(settings); err != nil || resetter != nil {
		t.Errorf("without [reset]: %v, %v", resetter, err)
	}
	settings.URL = "https://cm.example/{device}"
	if resetter, err := NewResetter(settings); err != nil || resetter == nil {
		t.Errorf("a URL: %v, %v", resetter, err)
	}
	for _, address := range []string{"https://{device}.example/", "http://cm.example/{device}"} {
		settings.URL, settings.Authorization = address, "Bearer geheim"
		_, err := NewResetter(settings)
		if !capf.HasCode(err, capf.CodeInvalid) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", address, err)
		}
		options := Options{Data: t.TempDir(), Config: config.Default()}
		options.Config.Reset = settings
		options.Environment, options.Log = ca.System(), slog.New(slog.DiscardHandler)
		if _, _, err := ca.Activate(options.Data, ca.Options{KeySize: 2048}, options.Environment); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), options); !capf.HasCode(err, capf.CodeInvalid) {
			t.Errorf("opened with %s: %v", address, err)
		}
	}
}

// The running service does it by itself: it is started while the window is open, and runs the command for
// the phone that waited for it.
func TestServiceResetsPhones(t *testing.T) {
	folder := t.TempDir()
	now := noonOfTrial
	environment := ca.Environment{Clock: func() time.Time { return now }, Random: rand.Reader}
	if _, _, err := ca.Activate(folder, ca.Options{KeySize: 2048}, environment); err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, StoreFile), Create: true, Clock: environment.Clock})
	if err != nil {
		t.Fatal(err)
	}
	install, mode := capf.OperationInstall, capf.AuthByNullString
	_, err = store.ApplyChanges(t.Context(), capf.ApplyAdd, []capf.PhoneChange{{Device: deviceA, Operation: &install, AuthMode: &mode}}, capf.ChangeContext{Actor: "tester"})
	if err == nil {
		err = store.SetParameter(t.Context(), capf.ParamWindow, "22:00-05:00 UTC", "tester")
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}

	now = noonOfTrial.Add(10 * time.Hour)
	asked := filepath.Join(folder, "asked")
	options := Options{Data: folder, Config: config.Default(), Listen: "127.0.0.1:0", AdminListen: config.AdminOff, Log: slog.New(slog.DiscardHandler), Environment: environment}
	options.Config.Reset.Command = []string{"cp", "/dev/null", asked + "-{device}"}
	service, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		last, err := service.store.LastReset(t.Context(), deviceA)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("not reset within a minute: %v", err)
		}
		if last != nil {
			break
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := service.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(asked + "-" + deviceA); err != nil {
		t.Error(err)
	}
}
