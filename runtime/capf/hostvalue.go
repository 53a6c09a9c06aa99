package capf

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const (
	maxHostName  = 253
	maxHostLabel = 63
	maxURL       = 255
)

// authorityAddress checks the address of a third-party CA (C8): an IP address, a host name, or the URL of its SCEP
// service, which has a path of its own where that is an add-on of another server (D1). Empty: there is none.
func authorityAddress(value string) (string, error) {
	switch {
	case value == "" || isHost(value):
		return value, nil
	case strings.Contains(value, "://"):
		if isServiceURL(value) {
			return value, nil
		}
		return "", errors.New("use a URL like http://ca.example/certsrv/mscep/mscep.dll, without name, password and fragment")
	}
	return "", errors.New("use the address or name of the CA, or the URL of its SCEP service; its port is the parameter " + ParamSCEPPort)
}

func isServiceURL(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil || len(text) > maxURL || parsed.User != nil || parsed.Fragment != "" || strings.ContainsFunc(text, isNoURL) {
		return false
	}
	if port := parsed.Port(); port != "" {
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return false
		}
	}
	return (parsed.Scheme == "http" || parsed.Scheme == "https") && isHost(parsed.Hostname())
}

// isNoURL tells characters that are escaped in a URL.
func isNoURL(char rune) bool { return char <= ' ' || char > '~' }

// isHost tells an IP address or a host name; old Windows servers have names with an underscore. A name whose last part
// is a number is none: it is an address with a slip in it.
func isHost(text string) bool {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Zone() == ""
	}
	if len(text) > maxHostName {
		return false
	}
	labels := strings.Split(text, ".")
	for _, label := range labels {
		if label == "" || len(label) > maxHostLabel || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, isNoHost) {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isNoHost(char rune) bool {
	return char > '~' || !isAlphanumeric(byte(char)) && char != '-' && char != '_'
}
