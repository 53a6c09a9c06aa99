package phone

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"capf/runtime/wire"
)

// connection is a line to the server: TCP, the counter of records, TLS.
type connection struct {
	raw     net.Conn
	counter *RecordCounter
	tls     *tls.Conn
	timeout time.Duration
	counted int // records that belong to messages before
	release func() bool
}

// connect opens the line and shakes hands. The context ends it at any time.
func (p *Phone) connect(ctx context.Context) (*connection, error) {
	dialer := net.Dialer{Timeout: p.config.Timeout}
	raw, err := dialer.DialContext(ctx, "tcp", p.config.Server)
	if err != nil {
		return nil, &LineError{Doing: "connecting to " + p.config.Server, NoRoute: true, Err: err}
	}
	counter := CountRecords(raw)
	c := &connection{raw: raw, counter: counter, timeout: p.config.Timeout,
		tls: tls.Client(counter, p.config.TLS.config(p.config.VerifyServer))}
	c.release = context.AfterFunc(ctx, func() { _ = raw.Close() })
	_ = raw.SetDeadline(time.Now().Add(c.timeout))
	if err := c.tls.HandshakeContext(ctx); err != nil {
		c.close()
		return nil, line("making the TLS handshake with "+p.config.Server, err)
	}
	c.counted = counter.HandshakeDone(c.tls.ConnectionState().Version)
	return c, nil
}

// read awaits a message, and counts the records that it came in. The server never sends two messages
// without an answer in between, so that what was read is of this one alone.
func (c *connection) read() (wire.Message, int, error) {
	_ = c.raw.SetDeadline(time.Now().Add(c.timeout))
	m, err := wire.ReadMessage(c.tls, wire.MaxElements)
	if err != nil {
		return wire.Message{}, 0, line("waiting for a message", err)
	}
	records := c.counter.ApplicationData() - c.counted
	c.counted += records
	return m, records, nil
}

func (c *connection) write(m wire.Message) error {
	_ = c.raw.SetDeadline(time.Now().Add(c.timeout))
	if err := wire.WriteMessage(c.tls, m); err != nil {
		return line(fmt.Sprintf("sending %v", m.Command), err)
	}
	return nil
}

// close ends the line as TLS asks for it.
func (c *connection) close() {
	c.release()
	_ = c.tls.Close()
}

// drop breaks the line.
func (c *connection) drop(how Drop) {
	c.release()
	switch how {
	case DropNotify:
		_ = c.tls.Close()
	case DropRST:
		if tcp, is := c.raw.(*net.TCPConn); is {
			_ = tcp.SetLinger(0)
		}
	}
	_ = c.raw.Close()
}
