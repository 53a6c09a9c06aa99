package distribute

import (
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"capf/ctl/distribute/sshdtest"
)

// roundTrip is what the proxy adds.
const roundTrip = 100 * time.Millisecond

// farAway stands between us and a server as a long line does: what is sent arrives half a round trip later, however
// much of it is under way. It counts how often we have waited for an answer before we went on.
type farAway struct {
	listener net.Listener
	server   string
	turns    atomic.Int64
	running  sync.WaitGroup
}

func newFarAway(t testing.TB, server *sshdtest.Server) *farAway {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &farAway{listener: listener, server: server.Address}
	f.running.Go(func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			f.running.Go(func() { f.line(near) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		f.running.Wait()
	})
	return f
}

// line carries one connection. The round trip in which TCP connects is waited for too.
func (f *farAway) line(near net.Conn) {
	time.Sleep(roundTrip)
	far, err := net.Dial("tcp", f.server)
	if err != nil {
		near.Close()
		return
	}
	var answered atomic.Bool
	var both sync.WaitGroup
	both.Go(func() {
		f.delay(far, near, func() {
			if answered.Swap(false) {
				f.turns.Add(1)
			}
		})
	})
	both.Go(func() { f.delay(near, far, func() { answered.Store(true) }) })
	both.Wait()
}

type chunk struct {
	data []byte
	due  time.Time
}

// delay carries what comes, in order, to arrive half a round trip later.
func (f *farAway) delay(to, from net.Conn, came func()) {
	underWay := make(chan chunk, 1024)
	var carrying sync.WaitGroup
	carrying.Go(func() {
		defer to.Close()
		for one := range underWay {
			time.Sleep(time.Until(one.due))
			came()
			if _, err := to.Write(one.data); err != nil {
				break
			}
		}
		for range underWay {
		}
	})
	for {
		buffer := make([]byte, 32<<10)
		n, err := from.Read(buffer)
		if n > 0 {
			underWay <- chunk{buffer[:n], time.Now().Add(roundTrip / 2)}
		}
		if err != nil {
			close(underWay)
			if err != io.EOF {
				from.Close()
			}
			break
		}
	}
	carrying.Wait()
}

// distant makes nodes that are far away from us, all on one server: what it would do at the same time counts against
// us, not for us.
func distant(t testing.TB, n int) ([]Node, []*farAway, Options) {
	t.Helper()
	server := sshdtest.Start(t, sshdtest.Options{})
	_, settings := over(t, server)
	var nodes []Node
	var lines []*farAway
	var known []string
	for i := range n {
		line := newFarAway(t, server)
		host, port, _ := strings.Cut(line.listener.Addr().String(), ":")
		known = append(known, fmt.Sprintf("[%s]:%s %s", host, port, strings.SplitN(server.Known(t), " ", 2)[1]))
		target := strings.Replace(server.Target(t.TempDir()), server.Address, line.listener.Addr().String(), 1)
		nodes, lines = append(nodes, Node{Name: fmt.Sprint("far", i), Target: target}), append(lines, line)
	}
	sshdtest.KnownHosts(t, settings.KnownHosts, known...)
	return nodes, lines, settings.options()
}

func timeOf(t testing.TB, nodes []Node, payload *Payload, options Options) time.Duration {
	t.Helper()
	start := time.Now()
	for _, result := range Distribute(t.Context(), nodes, payload, options) {
		if result.Outcome != Done {
			t.Fatalf("%s: %v", result.Outcome, result.Err)
		}
	}
	return time.Since(start)
}

// BenchmarkTwentyFarNodes distributes to twenty nodes that are 100 ms away, and to each of them alone: together they
// must take at most 1.3 times the slowest alone.
func BenchmarkTwentyFarNodes(b *testing.B) {
	const many = 20
	nodes, lines, options := distant(b, many)
	at := int64(1000)
	next := func() *Payload {
		at++
		return payload(b, list(b, at, "1024", "2048"))
	}
	timeOf(b, nodes, next(), options) // so that every further time replaces a list
	for b.Loop() {
		before := lines[0].turns.Load()
		var slowest time.Duration
		first := next()
		for _, node := range nodes {
			slowest = max(slowest, timeOf(b, []Node{node}, first, options))
		}
		turns := lines[0].turns.Load() - before
		together := timeOf(b, nodes, next(), options)
		b.ReportMetric(slowest.Seconds(), "s/slowest")
		b.ReportMetric(together.Seconds(), "s/all")
		b.ReportMetric(together.Seconds()/slowest.Seconds(), "times")
		b.ReportMetric(float64(turns), "turns/node")
		if float64(together) > 1.3*float64(slowest) {
			b.Errorf("%d nodes take %s, the slowest alone %s", many, together, slowest)
		}
	}
}

// A node takes few round trips: what can be asked at once is.
func TestRoundTrips(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a line that is slow on purpose")
	}
	nodes, lines, options := distant(t, 1)
	timeOf(t, nodes, payload(t, list(t, 1000, "1024", "2048")), options)
	before := lines[0].turns.Load()
	took := timeOf(t, nodes, payload(t, list(t, 1001, "1024", "2048")), options)
	const most = 32 // of which SSH takes a third
	if turns := lines[0].turns.Load() - before; turns < 10 || turns > most {
		t.Errorf("%d round trips in %s", turns, took)
	}
	status := Status(t.Context(), nodes, payload(t, list(t, 1001, "1024", "2048")), nil, options)
	if status[0].State != StateEqual {
		t.Errorf("%+v", status)
	}
}
