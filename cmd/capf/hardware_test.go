package main

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"capf/runtime/capf"
	"capf/runtime/pkcs11"
	"capf/runtime/pkcs11/softhsmtest"
)

func TestVariableName(t *testing.T) {
	for name, want := range map[string]string{"west": "WEST", "USB token #1": "USB_TOKEN__1", "ä-b.c": "__B_C", "": ""} {
		if got := variableName(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

// TestPINsOfService holds that programs which the service starts do not inherit PINs, and that nobody is asked.
func TestPINsOfService(t *testing.T) {
	t.Setenv("CAPF_KEY_PIN", "11")
	t.Setenv("CAPF_KEY_PIN_VAULT", "22")
	t.Setenv("CAPF_TOKEN_PIN", "33")
	app := &app{stdin: os.Stdin, stderr: io.Discard}
	app.tokens().terminal = func(string) (string, error) { return "44", nil }
	app.forService(slog.New(slog.DiscardHandler))
	if inherited := strings.Join(os.Environ(), "\n"); strings.Contains(inherited, "CAPF_KEY_PIN") || strings.Contains(inherited, "CAPF_TOKEN_PIN") {
		t.Error("the environment holds PINs")
	}
	for label, want := range map[string]string{"vault": "22", "other": "11"} {
		if got, err := app.tokens().askKeyPIN(pkcs11.Slot{Label: label}); got != want || err != nil {
			t.Errorf("%s: %q, %v", label, got, err)
		}
	}
	app.tokens().variable = func(string) string { return "" }
	if got, err := app.tokens().askKeyPIN(pkcs11.Slot{Label: "vault"}); !capf.HasCode(err, capf.CodeInvalid) {
		t.Errorf("somebody was asked: %q, %v", got, err)
	}
}

func TestOneHardware(t *testing.T) {
	at := func(locations ...string) (tokens []capf.Token) {
		for _, location := range locations {
			tokens = append(tokens, capf.Token{Location: location})
		}
		return tokens
	}
	west, again, east := "pkcs11:token=west;object=a?module-path=/p.so", "pkcs11:token=west;object=b;id=%01?module-path=/p.so", "pkcs11:token=east?module-path=/p.so"
	for _, test := range []struct {
		tokens []capf.Token
		want   bool
	}{{nil, false}, {at(west), false}, {at(west, again), true}, {at(west, east), false}, {at(west, again, east), false}, {at(west, again, "/a.pem"), false}, {at("/a.pem", "/b.pem"), false}} {
		if got := oneHardware(test.tokens); got != test.want {
			t.Errorf("%v: %t", test.tokens, got)
		}
	}
}

// TestPINIsTyped adds a token with a PIN that is typed at a terminal, where it does not show; or interrupts that.
func TestPINIsTyped(t *testing.T) {
	hsm := softhsmtest.New(t)
	hsm.AddToken("west")
	hsm.Import("west", "sast", "01", "../../testdata/ctl/tokens/1024.pem")
	i := newInstallation(t)
	for _, interrupted := range []bool{true, false} {
		keyboard, screen := terminal(t)
		before, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		command := i.command("ctl", "token", "add", "west", "--pkcs11", hsm.URI("west", "sast"))
		command.Stdin, command.Stdout, command.Stderr = screen, screen, screen
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		shown := readUntil(keyboard, "PIN of token \"west\"")
		waitForEcho(t, screen, false)
		if interrupted {
			err = command.Process.Signal(syscall.SIGINT)
		} else {
			_, err = io.WriteString(keyboard, softhsmtest.PIN+"\n")
		}
		if err != nil {
			t.Fatal(err)
		}
		err = command.Wait()
		if (err == nil) == interrupted || err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatalf("interrupted %t: %v", interrupted, err)
		}
		after, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil || after.Lflag != before.Lflag {
			t.Errorf("the terminal is left in another mode: %v, %v", after, err)
		}
		_, _ = io.WriteString(screen, "end of it")
		if shown += readUntil(keyboard, "end of it"); strings.Contains(shown, softhsmtest.PIN) {
			t.Errorf("shown: %s", shown)
		}
	}
	if list := i.capf("ctl", "token", "list"); !strings.Contains(list, "west\t") || strings.Contains(list, softhsmtest.PIN) {
		t.Error(list)
	}
}

// waitForEcho waits until a terminal shows what is typed, or does not.
func waitForEcho(t *testing.T, screen *os.File, shows bool) {
	t.Helper()
	for {
		mode, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if (mode.Lflag&unix.ECHO != 0) == shows {
			return
		}
	}
}
