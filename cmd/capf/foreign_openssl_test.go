package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"capf/runtime/capf"
	"capf/runtime/phone"
)

const installOpenSSL = "apt-get install openssl"

// client is `openssl s_client`: a phone's side of the line that is not our code.
type client struct {
	t       testing.TB
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  io.Reader
	stderr  bytes.Buffer
}

// connect starts s_client. It neither reads the machine's configuration, which forbids old versions, nor
// takes commands from what we send.
func connect(t testing.TB, address string, options ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	arguments := append([]string{"s_client", "-connect", address, "-brief", "-nocommands"}, options...)
	c := &client{t: t, command: exec.CommandContext(ctx, foreign(t, "openssl", installOpenSSL), arguments...)}
	c.command.Env = append(c.command.Environ(), "OPENSSL_CONF=/dev/null")
	c.command.Stderr = &c.stderr
	var err error
	if c.stdin, err = c.command.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if c.stdout, err = c.command.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.command.Wait() // where it was not waited for, it is killed
	})
	return c
}

// read gives so many bytes that came from the service.
func (c *client) read(count int) []byte {
	c.t.Helper()
	content := make([]byte, count)
	if got, err := io.ReadFull(c.stdout, content); err != nil {
		_ = c.command.Wait()
		c.t.Fatalf("%d of %d bytes came: %v\n%s", got, count, err, c.stderr.String())
	}
	return content
}

// hangUp closes the line from this side, and gives what s_client had to say about it.
func (c *client) hangUp() string {
	c.t.Helper()
	_ = c.stdin.Close()
	return c.finished()
}

// finished waits for the end of the line, before which nothing more may come.
func (c *client) finished() string {
	c.t.Helper()
	if rest, err := io.ReadAll(c.stdout); err != nil || len(rest) > 0 {
		c.t.Errorf("%x came behind the last message, %v", rest, err)
	}
	if err := c.command.Wait(); err != nil {
		c.t.Errorf("s_client: %v\n%s", err, c.stderr.String())
	}
	return c.stderr.String()
}

// The versions as s_client is asked for them and as it names them. @SECLEVEL=0 is what OpenSSL needs for
// SHA-1 and versions below 1.2.
var opensslVersions = []struct {
	option, name string
	suites       []string
}{
	{"-tls1", "TLSv1", oldOpenSSLSuites},
	{"-tls1_1", "TLSv1.1", oldOpenSSLSuites},
	{"-tls1_2", "TLSv1.2", append([]string{"AES128-GCM-SHA256", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-GCM-SHA256",
		"ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"}, oldOpenSSLSuites...)},
	{"-tls1_3", "TLSv1.3", []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}},
}

var oldOpenSSLSuites = []string{"AES128-SHA", "AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA"}

// suiteOptions ask for one suite.
func suiteOptions(version, suite string) []string {
	if version == "-tls1_3" {
		return []string{version, "-ciphersuites", suite}
	}
	return []string{version, "-cipher", suite + ":@SECLEVEL=0"}
}

// TestOpenSSLHandshakes shakes hands at every version with every suite that both sides know, and takes the
// first message: the server speaks first [C], and to everybody the same.
func TestOpenSSLHandshakes(t *testing.T) {
	address := newInstallation(t).serve().address
	for _, version := range opensslVersions {
		for _, suite := range version.suites {
			t.Run(version.name+"/"+suite, func(t *testing.T) {
				c := connect(t, address, suiteOptions(version.option, suite)...)
				first := c.read(12)
				if id := first[2:6]; bytes.Equal(id, make([]byte, 4)) || !bytes.Equal(first, authenticationRequest(id)) {
					t.Errorf("the first message is %x", first)
				}
				said := c.hangUp()
				for _, want := range []string{"Protocol version: " + version.name + "\n", "Ciphersuite: " + suite + "\n"} {
					if !strings.Contains(said, want) {
						t.Errorf("no %q in:\n%s", want, said)
					}
				}
			})
		}
	}
}

// authenticationRequest is the first message, version 3 alone [C].
func authenticationRequest(sessionID []byte) []byte {
	return append(append([]byte{0x55, 0x01}, sessionID...), 0x00, 0x04, 0x07, 0x00, 0x01, 0x03)
}

// TestTripleDES is for the other suite of 79xx phones [P], which Debian's OpenSSL has no more.
func TestTripleDES(t *testing.T) {
	i := newInstallation(t)
	address := i.serve().address
	keys := newKeyring(t, 1024, 3)
	for number, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			device := fmt.Sprintf("SEP0000000000D%d", number)
			i.in(t).capf("phone", "add", device, "--operation", "install", "--auth", "null-string", "--key-size", "1024")
			enrol(t, phone.Config{Device: device, Server: address, Mode: capf.AuthByNullString, Keys: keys.source(),
				VerifyServer: phone.AnyServer, Timeout: patience,
				TLS: phone.TLS{Min: version, Max: version, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}})
		})
	}
}
