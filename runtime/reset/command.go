package reset

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"capf/internal/plain"
)

// stragglers is how long the output of a command is waited for that has ended, or was ended, while something
// that it started still holds it open.
const stragglers = time.Second

// Command is a program with its arguments. No shell sees them: `{device}` in an argument becomes the name,
// and the argument stays one.
type Command []string

// Reset runs the command for a device. What it starts is ended with it when the context ends.
func (c Command) Reset(ctx context.Context, device string) error {
	arguments := make([]string, len(c)-1)
	for i, argument := range c[1:] {
		arguments[i] = strings.ReplaceAll(argument, Placeholder, device)
	}
	var output firstLine
	command := exec.CommandContext(ctx, c[0], arguments...)
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = stragglers
	err := command.Run()
	if err != nil && ctx.Err() != nil {
		err = timeoutOr(ctx.Err())
	}
	if errors.Is(err, exec.ErrWaitDelay) {
		return nil // it ended well, and left something running
	}
	return explain(err, output.String())
}

func timeoutOr(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it took longer than the timeout allows")
	}
	return err
}

// explain adds what the other side said, which is not trusted: one short printable line.
func explain(err error, said string) error {
	if err == nil || said == "" {
		return err
	}
	return fmt.Errorf("%w, saying %q", err, said)
}

const maxLine = 160 // bytes

// firstLine keeps the first line of what is written to it that is not empty, up to a bound, and forgets the
// rest. It is written to by one goroutine.
type firstLine struct {
	kept []byte
	done bool
}

// Write never fails, so that a command which says much is not disturbed.
func (f *firstLine) Write(text []byte) (int, error) {
	for _, b := range text {
		if f.done {
			break
		}
		isEnd := b == '\n' || b == '\r'
		if !isEnd {
			f.kept = append(f.kept, b)
		}
		f.done = isEnd && strings.TrimSpace(string(f.kept)) != "" || len(f.kept) >= maxLine
	}
	return len(text), nil
}

// String gives the line without anything that a terminal or a log would take for more than text.
func (f *firstLine) String() string {
	return strings.TrimSpace(plain.Line(string(f.kept)))
}
