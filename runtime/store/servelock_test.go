package store

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"capf/runtime/capf"
)

// serveFolder makes the test binary take the lock on a folder and wait to be killed.
const serveFolder = "CAPF_TEST_SERVE_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(serveFolder); folder != "" {
		lock, err := TakeServeLock(folder)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(lock.Instance())
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // until the parent goes
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func living(t *testing.T, folder string) string {
	t.Helper()
	instance, err := LivingInstance(folder)
	if err != nil {
		t.Fatal(err)
	}
	return instance
}

func TestServeLock(t *testing.T) {
	folder := t.TempDir()
	if got := living(t, folder); got != "" {
		t.Errorf("instance %q lives where none ever did", got)
	}
	lock, err := TakeServeLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(lock.Instance()) {
		t.Errorf("instance %q, want 32 hex digits", lock.Instance())
	}
	if got := living(t, folder); got != lock.Instance() {
		t.Errorf("instance %q lives, want %q", got, lock.Instance())
	}
	_, err = TakeServeLock(folder)
	if !capf.HasCode(err, capf.CodeBusy) || !strings.Contains(err.Error(), folder) {
		t.Errorf("a second service: %v, want busy and the folder", err)
	}
	if got := living(t, folder); got != lock.Instance() {
		t.Errorf("after a second try instance %q lives, want %q", got, lock.Instance())
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	if got := living(t, folder); got != "" {
		t.Errorf("instance %q lives after its release", got)
	}
	next, err := TakeServeLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Release()
	if next.Instance() == lock.Instance() {
		t.Error("two services had the same instance")
	}
	info, err := os.Stat(filepath.Join(folder, lockName))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %o, want 600", info.Mode().Perm())
	}
}

// TestServeLockOfKilledService kills a service: nothing has to be cleaned up after it.
func TestServeLockOfKilledService(t *testing.T) {
	folder := t.TempDir()
	service := exec.Command(os.Args[0])
	service.Env = append(os.Environ(), serveFolder+"="+folder)
	service.Stderr = os.Stderr
	input, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer input.Close()
	output, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	instance, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if got := living(t, folder); got != strings.TrimSpace(instance) {
		t.Errorf("instance %q lives, want %q", got, instance)
	}
	if _, err := TakeServeLock(folder); !capf.HasCode(err, capf.CodeBusy) {
		t.Errorf("a second service: %v, want busy", err)
	}
	if err := service.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = service.Wait()
	if got := living(t, folder); got != "" {
		t.Errorf("instance %q lives after it was killed", got)
	}
	lock, err := TakeServeLock(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Release(); err != nil {
		t.Error(err)
	}
}

func TestServeLockWithoutFolder(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	if _, err := TakeServeLock(missing); !capf.HasCode(err, capf.CodeUnavailable) || !strings.Contains(err.Error(), missing) {
		t.Errorf("got %v, want unavailable and the path", err)
	}
	if got := living(t, missing); got != "" {
		t.Errorf("instance %q lives in a folder that is missing", got)
	}
}
