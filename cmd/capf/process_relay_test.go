package main

import (
	"io"
	"net"
	"sync"
	"testing"
)

// relay is an address that stays, while the service behind it comes and goes. It shows what passes to
// whoever watches.
type relay struct {
	t        testing.TB
	listener net.Listener
	passing  sync.WaitGroup

	guard  sync.Mutex
	target string
	watch  func() (fromServer, fromPhone io.Writer) // for each connection; nil: nobody watches
}

func newRelay(t testing.TB) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{t: t, listener: listener}
	r.passing.Go(r.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		r.passing.Wait()
	})
	return r
}

func (r *relay) address() string { return r.listener.Addr().String() }

// leadTo names the service to which connections go from now on.
func (r *relay) leadTo(address string) {
	r.guard.Lock()
	defer r.guard.Unlock()
	r.target = address
}

func (r *relay) accept() {
	for {
		phone, err := r.listener.Accept()
		if err != nil {
			return // closed at the end of the test
		}
		r.passing.Go(func() { r.pass(phone.(*net.TCPConn)) })
	}
}

// pass copies both ways until both sides have ended. Whoever watches is told before it passes on.
func (r *relay) pass(phone *net.TCPConn) {
	defer phone.Close()
	r.guard.Lock()
	target, watch := r.target, r.watch
	r.guard.Unlock()
	dialled, err := net.Dial("tcp", target)
	if err != nil {
		return // the phone sees a line that breaks, as it should
	}
	server := dialled.(*net.TCPConn)
	defer server.Close()
	toPhone, toServer := io.Writer(phone), io.Writer(server)
	if watch != nil {
		fromServer, fromPhone := watch()
		toPhone, toServer = io.MultiWriter(fromServer, phone), io.MultiWriter(fromPhone, server)
	}
	var ways sync.WaitGroup
	ways.Go(func() { _, _ = io.Copy(toPhone, server); _ = phone.CloseWrite() })
	ways.Go(func() { _, _ = io.Copy(toServer, phone); _ = server.CloseWrite() })
	ways.Wait()
}
