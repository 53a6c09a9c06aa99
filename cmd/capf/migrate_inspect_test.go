package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal gives both ends of a pseudo-terminal: the one of whoever looks, and the one of the program.
func terminal(t *testing.T) (screen, program *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	number, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return screen, program
}

// TestRevealAtTerminal: a person who asks for them sees strings, nobody else does.
func TestRevealAtTerminal(t *testing.T) {
	folder := t.TempDir()
	const secret = "47110815"
	if err := os.WriteFile(filepath.Join(folder, "CAPF.phone"), []byte("device,auth string\nSEP000000000001,"+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, reveal := range []bool{false, true} {
		screen, program := terminal(t)
		command := migrateInspectCommand{sourceFlags: sourceFlags{Sources: []string{folder}}, Reveal: reveal}
		seen := make(chan string)
		go func() { seen <- readUntil(screen, "findings-end") }()
		if err := command.Run(&app{ctx: context.Background(), stdout: program, stderr: &bytes.Buffer{}}); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(program, "findings-end")
		select {
		case text := <-seen:
			if !strings.Contains(text, "SEP000000000001") || strings.Contains(text, secret) != reveal {
				t.Errorf("reveal %v: %s", reveal, text)
			}
		case <-time.After(time.Minute):
			t.Fatal("the terminal shows nothing")
		}
	}
	var pipe bytes.Buffer
	command := migrateInspectCommand{sourceFlags: sourceFlags{Sources: []string{folder}}, Reveal: true}
	if err := command.Run(&app{ctx: context.Background(), stdout: &pipe}); err == nil || pipe.Len() > 0 {
		t.Errorf("without a terminal: %v, %s", err, pipe.String())
	}
}

// readUntil reads until a mark comes.
func readUntil(from *os.File, mark string) string {
	var all []byte
	piece := make([]byte, 4096)
	for !bytes.Contains(all, []byte(mark)) {
		n, err := from.Read(piece)
		if err != nil {
			return string(all)
		}
		all = append(all, piece[:n]...)
	}
	return string(all)
}
