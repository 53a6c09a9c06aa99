package main

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"capf/runtime/phone"
)

// CVE-2009-0057, and A4: FIN or RST at every point of a session, those inside a TLS record included. The phone
// tries again, and ends with the one LSC that the store has as confirmed.

// cut says where a line breaks.
type cut struct {
	server bool // counted are the bytes from the server; otherwise those from the phone
	after  int  // bytes
	reset  bool // with RST, not FIN
}

// cutter is a line to a service of which the first connection breaks.
type cutter struct {
	listener net.Listener
	target   string
	cut      cut
	passing  sync.WaitGroup

	guard  sync.Mutex
	phone  int // bytes that passed from the phone on the first connection
	server int
}

func newCutter(target string, where cut) (*cutter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cutter{listener: listener, target: target, cut: where}
	c.passing.Go(c.accept)
	return c, nil
}

func (c *cutter) close() {
	_ = c.listener.Close()
	c.passing.Wait()
}

func (c *cutter) accept() {
	for first := true; ; first = false {
		phone, err := c.listener.Accept()
		if err != nil {
			return // closed at the end
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil {
			_ = phone.Close() // the phone sees a line that breaks, and says so
			continue
		}
		c.passing.Go(func() { c.pass(phone, server, first) })
	}
}

// pass copies both ways. Both sides see the line break at the same place.
func (c *cutter) pass(phone, server net.Conn, breaks bool) {
	fromPhone, fromServer := int64(-1), int64(-1) // no bound
	if breaks && c.cut.server {
		fromServer = int64(c.cut.after)
	} else if breaks {
		fromPhone = int64(c.cut.after)
	}
	end := sync.OnceFunc(func() {
		for _, side := range []net.Conn{phone, server} {
			if breaks && c.cut.reset {
				_ = resetLine(side)
			} else {
				_ = side.Close()
			}
		}
	})
	var ways sync.WaitGroup
	ways.Go(func() { passed := copyAtMost(server, phone, fromPhone); end(); c.count(breaks, passed, 0) })
	ways.Go(func() { passed := copyAtMost(phone, server, fromServer); end(); c.count(breaks, 0, passed) })
	ways.Wait()
}

func copyAtMost(to io.Writer, from io.Reader, most int64) int64 {
	if most >= 0 {
		from = io.LimitReader(from, most)
	}
	passed, _ := io.Copy(to, from) // a line that breaks is what this is for
	return passed
}

func (c *cutter) count(first bool, phone, server int64) {
	if c.guard.Lock(); first {
		c.phone, c.server = c.phone+int(phone), c.server+int(server)
	}
	c.guard.Unlock()
}

func TestAttackLineCutAnywhere(t *testing.T) {
	step := 47
	if brief() {
		step = 311
	}
	a := newTarget(t, "")
	a.waiting("SEP000000000001", 1, "install", "null-string", "")
	const never = 1 << 20
	whole, outcome := a.callThrough(t, "SEP000000000001", cut{after: never})
	if outcome.Err != nil || outcome.Attempts != 1 || whole.phone < 1000 || whole.server < 1000 {
		t.Fatalf("undisturbed: %d bytes of the phone, %d of the service, %d attempts: %v", whole.phone, whole.server, outcome.Attempts, outcome.Err)
	}
	var cuts []cut
	for after := 1; after < max(whole.phone, whole.server); after += step {
		for _, reset := range []bool{false, true} {
			if after < whole.phone {
				cuts = append(cuts, cut{after: after, reset: reset})
			}
			if after < whole.server {
				cuts = append(cuts, cut{server: true, after: after, reset: reset})
			}
		}
	}
	devices := a.waiting("SEP000000010000", len(cuts), "install", "null-string", "")
	outcomes := make([]phone.Outcome, len(cuts))
	each(t, len(cuts), func(number int) error {
		_, outcomes[number] = a.callThrough(t, devices[number], cuts[number])
		return outcomes[number].Err
	})
	a.unharmed()
	a.checkHeld(t, devices, outcomes, cuts)
}

// callThrough has a phone call over a line that breaks once.
func (a *target) callThrough(t *testing.T, device string, where cut) (*cutter, phone.Outcome) {
	line, err := newCutter(a.service.address, where)
	if err != nil {
		return nil, phone.Outcome{Err: err}
	}
	defer line.close()
	config := a.caller(device)
	config.Server, config.Retry = line.listener.Addr().String(), phone.Retry{Times: phone.PhoneRetry.Times}
	calling, err := phone.New(config)
	if err != nil {
		return nil, phone.Outcome{Err: err}
	}
	return line, calling.Run(t.Context())
}

// checkHeld holds what the phones have against the store.
func (a *target) checkHeld(t *testing.T, devices []string, outcomes []phone.Outcome, cuts []cut) {
	t.Helper()
	confirmed := make(map[string][]string)
	for _, one := range a.certificates("") {
		if one.State == "confirmed" {
			confirmed[one.Device] = append(confirmed[one.Device], one.Serial)
		}
	}
	status := a.statuses()
	again := 0
	for number, device := range devices {
		held := outcomes[number].Certificate
		if held == nil || status[device] != "success" || len(confirmed[device]) != 1 || confirmed[device][0] != fmt.Sprintf("%x", held.SerialNumber) {
			t.Errorf("cut %+v: %s reads %s, confirmed are %v, the phone holds %v", cuts[number], device, status[device], confirmed[device], held)
		}
		if outcomes[number].Attempts > 1 {
			again++
		}
	}
	if again < len(cuts)*9/10 {
		t.Errorf("of %d lines only %d broke", len(cuts), again)
	}
}
