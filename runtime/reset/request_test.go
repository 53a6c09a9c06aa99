package reset

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://cm.example/reset/{device}": "", "https://cm.example/reset?phone={device}&now=1": "", "http://10.0.0.1:8080/{device}": "",
		"https://cm.example?{device}": "", "http://[::1]:8080/{device}": "",
		"https://cm.example/reset": "into its path", "{device}": "https://host", "ftp://cm.example/{device}": "https://host", "/reset/{device}": "https://host",
		"https://{device}.example/": "into its path", "https://{device}.example/{device}": "only", "https://a:b@cm.example/{device}": "environment",
		"https://cm.example/#{device}": "behind #", "https://cm.example/%zz{device}": "https://host", "": "https://host",
	} {
		err := CheckAddress(address, false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", address, err, want)
		}
	}
	for address, allowed := range map[string]bool{"http://10.0.0.1/{device}": false, "http://127.0.0.1:80/{device}": true, "http://localhost/{device}": true,
		"http://[::1]:8080/{device}": true, "http://localhost.example/{device}": false, "https://10.0.0.1/{device}": true} {
		if _, err := NewRequest(address, "Bearer x"); (err == nil) != allowed {
			t.Errorf("a secret to %s: %v", address, err)
		}
	}
}

// The request names the device, and carries the secret to the address that was written and no other.
func TestRequest(t *testing.T) {
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = fmt.Sprint(r.Method, " ", r.URL, " ", r.Header.Get("Authorization"), " ", r.ContentLength)
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	request, err := NewRequest(server.URL+"/reset/{device}?name={device}", "Bearer geheim")
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Reset(t.Context(), "CSF.a_b-c"); err != nil || got != "POST /reset/CSF.a_b-c?name=CSF.a_b-c Bearer geheim 0" {
		t.Errorf("got %q, %v", got, err)
	}
	if err := request.Reset(t.Context(), "a/b?c"); err != nil || !strings.HasPrefix(got, "POST /reset/a%2Fb%3Fc?name=a%2Fb%3Fc ") {
		t.Errorf("escaped as %q, %v", got, err)
	}
}

// Everything but 2xx is a failure; nothing of the address' query, of the secret or of a control character is
// in what is said about it.
func TestRequestFails(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirection was followed") }))
	defer elsewhere.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved/SEP0011223344AA":
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		case "/denied/SEP0011223344AA":
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "\n\x1b[2Jnot you\n%s", strings.Repeat("x", 1<<20))
		case "/slow/SEP0011223344AA":
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	for address, want := range map[string]string{
		server.URL + "/moved/{device}":         "answered with status 307",
		server.URL + "/denied/{device}?key=k1": `answered with status 403, saying "[2Jnot you"`,
		server.URL + "/slow/{device}?key=k1":   "longer than the timeout",
		"http://127.0.0.1:1/{device}?key=k1":   "refused", // a port that the system gives to nobody
	} {
		request, err := NewRequest(address, "Bearer geheim")
		if err != nil {
			t.Fatal(err)
		}
		within := time.Minute
		if strings.Contains(address, "/slow/") {
			within = 100 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		err = request.Reset(ctx, "SEP0011223344AA")
		cancel()
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "k1") || strings.Contains(err.Error(), "geheim") || len(err.Error()) > 400 {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// The bound of RSA keys that the program lifts for phones holds for web servers.
func TestShortKeysAreRefused(t *testing.T) {
	for bits, allowed := range map[uint]bool{512: false, 1023: false, 1024: true, 2048: true} {
		key := &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
		err := refuseShortKeys(tls.ConnectionState{PeerCertificates: []*x509.Certificate{{PublicKey: key}}})
		if (err == nil) != allowed {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	request, err := NewRequest(server.URL+"/{device}", "Bearer geheim")
	if err != nil {
		t.Fatal(err)
	}
	if err := request.Reset(t.Context(), "SEP0011223344AA"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server that nobody vouches for: %v", err)
	}
}

func FuzzFirstLine(f *testing.F) {
	f.Add([]byte("no route\nmore"), 3)
	f.Add([]byte("\x1b[2J\xff\r\n\u202e"), 1)
	f.Fuzz(func(t *testing.T, said []byte, cut int) {
		var whole, parts firstLine
		_, _ = whole.Write(said)
		cut = min(max(cut, 0), len(said))
		for _, part := range [][]byte{said[:cut], said[cut:]} {
			if n, err := parts.Write(part); n != len(part) || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		line := whole.String()
		if line != parts.String() || len(line) > 3*maxLine || strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\u202e' }) {
			t.Errorf("%q became %q and %q", said, line, parts.String())
		}
	})
}
