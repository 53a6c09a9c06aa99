package admin

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
	der []byte
	err error
}

func (s *source) CRL(context.Context) ([]byte, time.Time, error) {
	return s.der, time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), s.err
}

// ask sends a request and gives the answer.
func ask(handler http.Handler, method string, header http.Header) *httptest.ResponseRecorder {
	request := httptest.NewRequest(method, PathCRL, nil)
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
