package phone

import (
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"capf/runtime/capf"
)

func TestNewRefuses(t *testing.T) {
	other, err := GenerateKey(t.Context(), "", capf.P256)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(*Config)
		text   string
	}{
		{"device", func(c *Config) { c.Device = "../SEP" }, "device name"},
		{"server", func(c *Config) { c.Server = "capf.example.com" }, `server "capf.example.com": give host:port`},
		{"version", func(c *Config) { c.Version = 4 }, "protocol version 4: use 2 or 3"},
		{"mode", func(c *Config) { c.Mode = "by-heart" }, `authentication mode "by-heart"`},
		{"no string", func(c *Config) { c.Mode = capf.AuthByString }, "without a string: give one"},
		{"string under null string", func(c *Config) { c.AuthenticationString = digits(t, "471147") }, "leave one of them out"},
		{"string with a certificate", func(c *Config) { c.Mode, c.AuthenticationString = capf.AuthByMIC, digits(t, "471147") }, "leave one of them out"},
		{"MIC without its key", func(c *Config) { c.MIC = &Identity{Certificate: identity().Leaf} }, "MIC: it must be a certificate and its private key"},
		{"SUDI with another key", func(c *Config) { c.SUDI = &Identity{Certificate: identity().Leaf, Key: other} }, "SUDI: the certificate is for another public key"},
		{"key size", func(c *Config) { c.KeySize = "1000" }, `key size "1000" is not known`},
		{"no trust", func(c *Config) { c.VerifyServer = nil }, "give a CTL file"},
		{"TLS", func(c *Config) { c.TLS = TLS{Min: tls.VersionTLS13, Max: tls.VersionTLS12} }, "TLS versions TLS 1.3 to TLS 1.2"},
		{"old TLS", func(c *Config) { c.TLS = TLS{Min: 0x0300} }, "use 1.0 to 1.3"},
		{"retries", func(c *Config) { c.Retry.Times = -1 }, "cannot be negative"},
		{"timeout", func(c *Config) { c.Timeout = -time.Second }, "cannot be negative"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			config := configOf(&server{address: "127.0.0.1:3804"})
			test.change(&config)
			phone, err := New(config)
			if phone != nil || err == nil || !strings.Contains(err.Error(), test.text) || strings.Contains(err.Error(), "471147") {
				t.Errorf("error %v, want %q", err, test.text)
			}
		})
	}
	_, err = New(Config{})
	for _, part := range []string{"device name", "give host:port", "give a CTL file"} {
		if err == nil || !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "\n") {
			t.Errorf("all at once: error %v, want %q in one line", err, part)
		}
	}
}

func TestNewNormalises(t *testing.T) {
	config := configOf(&server{address: "[::1]:3804"})
	config.Device = "00-11-22-33-44-5a"
	phone := newPhone(t, config)
	if phone.Device() != "SEP00112233445A" || phone.Flash() == nil {
		t.Errorf("device %s", phone.Device())
	}
}
