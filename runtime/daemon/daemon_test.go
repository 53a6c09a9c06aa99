package daemon_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"capf/runtime/ca"
	"capf/runtime/capf"
	"capf/runtime/config"
	"capf/runtime/daemon"
	"capf/runtime/phone"
	"capf/runtime/store/sqlite"
)

// activated gives a data directory with store and identity.
func activated(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, daemon.StoreFile), Create: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ca.Activate(folder, ca.Options{CommonName: "CAPF-test"}, ca.System()); err != nil {
		t.Fatal(err)
	}
	return folder
}

func options(t *testing.T, folder string) daemon.Options {
	return daemon.Options{Data: folder, Config: config.Default(), Listen: "127.0.0.1:0", Environment: ca.System(),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// run serves until the test ends.
func run(t *testing.T, chosen daemon.Options) *daemon.Daemon {
	t.Helper()
	service, err := daemon.Open(t.Context(), chosen)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := service.Close(); err != nil {
			t.Error(err)
		}
	})
	return service
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	if _, err := daemon.Open(t.Context(), options(t, t.TempDir())); !capf.HasCode(err, capf.CodeNotActivated) {
		t.Errorf("without an identity: %v", err)
	}
	folder := activated(t)
	run(t, options(t, folder))
	if _, err := daemon.Open(t.Context(), options(t, folder)); !capf.HasCode(err, capf.CodeBusy) {
		t.Errorf("a second one: %v", err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other := options(t, activated(t))
	other.Listen = taken.Addr().String()
	if _, err := daemon.Open(t.Context(), other); !capf.HasCode(err, capf.CodeUnavailable) {
		t.Errorf("an address in use: %v", err)
	}
	other.Listen = "127.0.0.1:0"
	run(t, other) // the failed start has given everything back
}

func TestAdminAddress(t *testing.T) {
	following := run(t, options(t, activated(t)))
	if port := following.AdminURL()[strings.LastIndex(following.AdminURL(), ":")+1:]; port == "8804" || port == "0" {
		t.Errorf("with phone port 0 the admin address is %s", following.AdminURL())
	}
	response, err := http.Get(following.AdminURL() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err := io.ReadAll(response.Body); err != nil || response.StatusCode != http.StatusOK || string(body) != "ok\n" {
		t.Errorf("%d %q, %v", response.StatusCode, body, err)
	}
	off := options(t, activated(t))
	off.AdminListen = config.AdminOff
	if url := run(t, off).AdminURL(); url != config.AdminOff {
		t.Errorf("turned off: %s", url)
	}
}

// B1: what a Troubleshoot fetches lies in a file, as text and PEM, for its owner only.
func TestTracesOfATroubleshoot(t *testing.T) {
	folder := activated(t)
	service := run(t, options(t, folder))
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, daemon.StoreFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const device = "SEP0011223344AA"
	flash := phone.NewMemoryFlash()
	for _, operation := range []capf.Operation{capf.OperationInstall, capf.OperationTroubleshoot} {
		mode := capf.AuthByNullString
		change := capf.PhoneChange{Device: device, Operation: &operation, AuthMode: &mode}
		if _, err := store.ApplyChanges(t.Context(), capf.ApplyUpsert, []capf.PhoneChange{change}, capf.ChangeContext{Actor: "test"}); err != nil {
			t.Fatal(err)
		}
		calling, err := phone.New(phone.Config{Device: device, Server: service.PhoneAddress(), Mode: mode, Flash: flash, VerifyServer: phone.AnyServer})
		if err != nil {
			t.Fatal(err)
		}
		if outcome := calling.Run(t.Context()); outcome.Err != nil {
			t.Fatal(outcome.Err)
		}
	}
	held, err := flash.LSC()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "traces", device+"-LSC.txt")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"CN=" + device, capf.FormatSerial(held.Certificate.SerialNumber), "RSA, 1024 bits", "digitalSignature, keyEncipherment", "-----BEGIN CERTIFICATE-----"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%q is missing in:\n%s", want, text)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if none, err := os.ReadFile(filepath.Join(folder, "traces", device+"-MIC.txt")); err != nil || !strings.Contains(string(none), "has no MIC") {
		t.Errorf("%q, %v", none, err)
	}
}

// An operation that nobody completes ends by itself, its string with it.
func TestOperationsExpire(t *testing.T) {
	folder := activated(t)
	store, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(folder, daemon.StoreFile)})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	operation := capf.OperationInstall
	change := capf.PhoneChange{Device: "SEP0011223344AA", Operation: &operation}
	if _, err := store.ApplyChanges(t.Context(), capf.ApplyAdd, []capf.PhoneChange{change}, capf.ChangeContext{Actor: "test"}); err != nil {
		t.Fatal(err)
	}
	late := options(t, folder)
	late.Environment.Clock = func() time.Time { return time.Now().AddDate(0, 0, 11) }
	run(t, late)
	deadline := time.Now().Add(time.Minute)
	for {
		found, err := store.Phone(t.Context(), "SEP0011223344AA")
		if err != nil {
			t.Fatal(err)
		}
		if found.Last.Ending == capf.EndingExpired && found.AuthString.IsZero() && *found.LastResult == capf.ResultTimedOut {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("still %+v", found.Last)
		}
		time.Sleep(5 * time.Millisecond) // for the first sweep of the service, which is not told here
	}
}
