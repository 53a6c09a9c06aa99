package daemon

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// underWay is a server whose one handler has begun its answer when it is given, and ends it when it is let go.
type underWay struct {
	letGo  chan struct{}
	stop   context.CancelFunc // ends the service
	ended  chan error         // what serveUntil gives
	answer chan answered
}

type answered struct {
	text string
	err  error
}

func newUnderWay(t *testing.T, moment time.Duration) *underWay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &underWay{letGo: make(chan struct{}), ended: make(chan error, 1), answer: make(chan answered, 1)}
	begun := make(chan struct{})
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := io.WriteString(w, "first, ")
		if err = errors.Join(err, http.NewResponseController(w).Flush()); err != nil {
			t.Error(err)
		}
		close(begun)
		<-u.letGo
		_, _ = io.WriteString(w, "last") // whether that comes through is what is tested
	})}
	ctx, stop := context.WithCancel(t.Context())
	u.stop = stop
	go func() { u.ended <- serveUntil(ctx, server, listener, moment) }()
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			u.answer <- answered{"", err}
			return
		}
		text, err := io.ReadAll(response.Body)
		u.answer <- answered{string(text), errors.Join(err, response.Body.Close())}
	}()
	<-begun
	return u
}

// An answer that has begun when the service is told to stop comes to its end, before what answers is given up.
func TestAnswersUnderWayAreFinished(t *testing.T) {
	u := newUnderWay(t, time.Hour)
	u.stop()
	select {
	case err := <-u.ended:
		t.Fatalf("given up while an answer was under way: %v", err)
	case <-time.After(50 * time.Millisecond): // as long as a mistake needs to show
	}
	close(u.letGo)
	if got := <-u.answer; got.err != nil || got.text != "first, last" {
		t.Errorf("the answer is %q, %v", got.text, got.err)
	}
	if err := <-u.ended; err != nil {
		t.Error(err)
	}
}

// One that does not come to an end keeps nobody for longer than a moment.
func TestAnswersThatDoNotEndAreCut(t *testing.T) {
	u := newUnderWay(t, time.Millisecond)
	defer close(u.letGo)
	u.stop()
	if err := <-u.ended; err != nil {
		t.Error(err)
	}
	if got := <-u.answer; got.err == nil {
		t.Errorf("the client takes %q for all of it", got.text)
	}
}

// An address that is lost while the service runs ends it.
func TestServingALostAddress(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := serveUntil(t.Context(), &http.Server{}, listener, time.Hour); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
}
