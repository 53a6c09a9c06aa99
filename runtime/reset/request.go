package reset

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// Request is a POST without a body to an address that names the device.
type Request struct {
	address       string
	authorization string
	client        *http.Client
}

// NewRequest takes an address with `{device}` in its path or query, http or https, and what goes into the
// header Authorization, which may be empty. A secret is let out over plain http to this machine only.
func NewRequest(address, authorization string) (*Request, error) {
	if err := CheckAddress(address, authorization != ""); err != nil {
		return nil, err
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: atOnce, ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: refuseShortKeys}}
	client := &http.Client{Transport: transport,
		// Where a request ends is what the administrator has written, the header above all.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return &Request{address: address, authorization: authorization, client: client}, nil
}

// CheckAddress says what is wrong with an address.
func CheckAddress(address string, hasSecret bool) error {
	parsed, err := url.Parse(strings.ReplaceAll(address, Placeholder, "SEP001122334455"))
	switch {
	case err != nil || parsed.Host == "" || parsed.Scheme != "https" && parsed.Scheme != "http":
		return errors.New("use https://host/path")
	case parsed.User != nil:
		return errors.New("leave name and password out: they belong into the environment")
	case parsed.Fragment != "":
		return errors.New("leave the part behind # out: it is not sent")
	case !strings.Contains(afterHost(address), Placeholder):
		return errors.New("put " + Placeholder + " into its path or query")
	case strings.Contains(beforePath(address), Placeholder):
		return errors.New("put " + Placeholder + " into its path or query only")
	case parsed.Scheme == "http" && hasSecret && !isThisMachine(parsed.Hostname()):
		return errors.New("use https: the authorization would go over the net in the clear")
	}
	return nil
}

// beforePath gives scheme and host as they are written.
func beforePath(address string) string { return address[:len(address)-len(afterHost(address))] }

func afterHost(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		return rest[at:]
	}
	return ""
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Reset sends the request. Only an answer of the kind 2xx is success.
func (r *Request) Reset(ctx context.Context, device string) error {
	path, query, hasQuery := strings.Cut(r.address, "?")
	address := strings.ReplaceAll(path, Placeholder, url.PathEscape(device))
	if hasQuery {
		address += "?" + strings.ReplaceAll(query, Placeholder, url.QueryEscape(device))
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, http.NoBody)
	if err != nil {
		return err
	}
	if r.authorization != "" {
		request.Header.Set("Authorization", r.authorization)
	}
	answer, err := r.client.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	defer answer.Body.Close()
	var said firstLine
	const most = 4096 // of what is read, so that the connection can be used again
	_, _ = io.Copy(&said, io.LimitReader(answer.Body, most))
	if answer.StatusCode/100 != 2 {
		return explain(fmt.Errorf("%s answered with status %d", request.URL.Host, answer.StatusCode), said.String())
	}
	return nil
}

// withoutAddress takes off what net/http puts before the cause: the whole address, whose query may hold what
// is better not in a log.
func withoutAddress(err error) error {
	var whole *url.Error
	if errors.As(err, &whole) {
		err = whole.Err
	}
	return timeoutOr(err)
}

// minimum is the size of RSA key, in bits, that a web server must have. Of itself Go takes no fewer, but the
// program lifts that bound for phones (cmd/capf, rsa1024min).
const minimum = 1024

func refuseShortKeys(state tls.ConnectionState) error {
	for _, certificate := range state.PeerCertificates {
		if key, is := certificate.PublicKey.(*rsa.PublicKey); is && key.N.BitLen() < minimum {
			return fmt.Errorf("the server shows a certificate with a key of %d bits", key.N.BitLen())
		}
	}
	return nil
}
