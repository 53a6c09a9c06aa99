package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

// source gives what a test says.
type source struct {
	der   []byte
	err   error
	asked []string // issuers
}

func (s *source) CRL(_ context.Context, issuer string) ([]byte, time.Time, error) {
	s.asked = append(s.asked, issuer)
	return s.der, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), s.err
}

// ask sends a request and gives the answer.
func ask(handler http.Handler, method string, header http.Header) *httptest.ResponseRecorder {
	return askFor(handler, PathCRL, method, header)
}

func askFor(handler http.Handler, path, method string, header http.Header) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, path, nil)
	request.Header = header
	answer := httptest.NewRecorder()
	handler.ServeHTTP(answer, request)
	return answer
}

func TestCRLHandler(t *testing.T) {
	from := &source{der: []byte("one")}
	handler := CRLHandler(from, slog.New(slog.DiscardHandler))
	answer := ask(handler, http.MethodGet, http.Header{})
	if answer.Code != http.StatusOK || answer.Body.String() != "one" || answer.Header().Get("Content-Type") != "application/pkix-crl" {
		t.Errorf("%d %s: %q", answer.Code, answer.Header(), answer.Body)
	}
	if head := ask(handler, http.MethodHead, http.Header{}); head.Code != http.StatusOK || head.Body.Len() != 0 || head.Header().Get("Content-Length") != "3" {
		t.Errorf("HEAD: %d %s", head.Code, head.Header())
	}
	known := http.Header{"If-None-Match": {answer.Header().Get("ETag")}}
	if again := ask(handler, http.MethodGet, known); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("asked again: %d", again.Code)
	}
	from.der = []byte("two") // within the same second: the digest tells
	if newer := ask(handler, http.MethodGet, known); newer.Code != http.StatusOK || newer.Body.String() != "two" {
		t.Errorf("after it was made anew: %d %q", newer.Code, newer.Body)
	}
}

// Whoever leaves before there is an answer is no failure for the log.
func TestCRLForWhoHasLeft(t *testing.T) {
	var log strings.Builder
	from := &source{err: &capf.Error{Code: capf.CodeUnavailable, Message: "given up", Err: context.Canceled}}
	handler := CRLHandler(from, slog.New(slog.NewTextHandler(&log, nil)))
	for left, want := range map[bool]bool{true: false, false: true} {
		ctx, leave := context.WithCancel(t.Context())
		if left {
			leave()
		}
		log.Reset()
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, PathCRL, nil))
		if logged := log.Len() > 0; logged != want {
			t.Errorf("left %t: the log says %q", left, &log)
		}
		leave()
	}
}

// Each issuer has a path of its own; what is no path of an issuer asks nobody, and what is none of ours is no failure
// for the log.
func TestCRLPaths(t *testing.T) {
	var log strings.Builder
	from := &source{der: []byte("one")}
	handler := CRLHandler(from, slog.New(slog.NewTextHandler(&log, nil)))
	digest := strings.Repeat("0a", 32)
	for path, want := range map[string]int{CRLPath(digest): http.StatusOK, PathCRL: http.StatusOK,
		"/crl/": http.StatusNotFound, "/crl/" + digest: http.StatusNotFound, "/crl/0a.crl": http.StatusNotFound, "/crl/.crl": http.StatusNotFound,
		CRLPath(strings.ToUpper(digest)): http.StatusNotFound, CRLPath(digest + "0a"): http.StatusNotFound, CRLPath("..%2f" + digest): http.StatusNotFound,
		CRLPath(strings.Repeat("0g", 32)): http.StatusNotFound} {
		from.asked = nil
		answer := askFor(handler, path, http.MethodGet, http.Header{})
		if answer.Code != want || want == http.StatusOK && answer.Body.String() != "one" || (len(from.asked) == 1) != (want == http.StatusOK) {
			t.Errorf("%s: %d %q, asked for %q", path, answer.Code, answer.Body, from.asked)
		}
		if path == CRLPath(digest) && from.asked[0] != digest {
			t.Errorf("asked for %q", from.asked)
		}
	}
	from.err = &capf.Error{Code: capf.CodeNotFound, Message: "inner words"}
	if answer := askFor(handler, CRLPath(digest), http.MethodGet, http.Header{}); answer.Code != http.StatusNotFound || strings.Contains(answer.Body.String(), "inner") || log.Len() > 0 {
		t.Errorf("none of ours: %d %q, logged %q", answer.Code, answer.Body, &log)
	}
}

func TestCRLHandlerTellsNothingInner(t *testing.T) {
	var log strings.Builder
	for _, test := range []struct {
		err  error
		want int
	}{
		{&capf.Error{Code: capf.CodeRefused, Message: "inner words"}, http.StatusUnprocessableEntity},
		{errors.New("inner words"), http.StatusInternalServerError},
	} {
		log.Reset()
		answer := ask(CRLHandler(&source{err: test.err}, slog.New(slog.NewTextHandler(&log, nil))), http.MethodGet, http.Header{})
		if answer.Code != test.want || strings.Contains(answer.Body.String(), "inner") || !strings.Contains(log.String(), "inner words") {
			t.Errorf("%v: %d %q, logged %q", test.err, answer.Code, answer.Body, &log)
		}
		if kind := answer.Header().Get("Content-Type"); kind == "application/pkix-crl" || answer.Header().Get("ETag") != "" {
			t.Errorf("%v: the failure looks like a CRL: %s", test.err, answer.Header())
		}
	}
}
