package capf

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"capf/internal/plain"
)

// Parameter describes a service or enterprise parameter (C1 to C9, B12).
type Parameter struct {
	Name        string
	Default     string
	Unit        string // of the value, may be empty
	TakesEffect string // when a change does
	Description string // the guide's *i* button
	normalise   func(string) (string, error)
}

// The names of the parameters.
const (
	ParamIssuer                = "certificate-issuer"
	ParamValidity              = "duration-of-certificate-validity"
	ParamKeySize               = "key-size"
	ParamKeyGenerationTime     = "maximum-key-generation-time"
	ParamKeyGenerationAttempts = "maximum-key-generation-attempts"
	ParamJurisdiction          = "keon-jurisdiction-id"
	ParamSCEPPort              = "scep-port-number"
	ParamCAAddress             = "certificate-authority-address"
	ParamPhonePort             = "capf-phone-port"
	ParamOperationExpiresIn    = "capf-operation-expires-in"
	ParamWindow                = "maintenance-window"
	ParamECBackup              = "ec-backup-key-size"
	ParamRenewal               = "automatic-renewal"
)

const (
	effectNextSession   = "sessions that begin after the change"
	effectNextServe     = "the next start of the service"
	effectNextOperation = "operations that are set after the change"
	effectNextPhone     = "phones that are added after the change"
	effectNextOpening   = "the next opening of the maintenance window, or the next night"
)

// IssuerCAPF is the value of ParamIssuer with which CAPF signs itself.
const IssuerCAPF = "CAPF"

// ParameterList describes every parameter, in the order of the guide.
var ParameterList = []Parameter{
	{ParamIssuer, IssuerCAPF, "", effectNextSession,
		"Who signs the LSCs: CAPF itself.", onlyCAPF},
	{ParamValidity, "5", "years", effectNextSession,
		"How long an LSC is valid: 1 to 5 years, or 1d to 1825d in days; never longer than the CAPF certificate.", validity},
	{ParamKeySize, string(RSA1024), "bits", effectNextPhone,
		"Key size of phones that are added without one. 2048 bits and more make phones start and fail over slowly (60 s and more): only for the highest need.", keySize},
	{ParamKeyGenerationTime, "30", "minutes", effectNextSession,
		"How long a phone may take to make its key pair. A 7940 or 7960 can need more than 30 minutes for 2048 bits.", between(1, 120)},
	{ParamKeyGenerationAttempts, "3", "", effectNextSession,
		"How often a phone is asked to make its key pair before the operation has failed; 0 and 1 both mean once.", between(0, 100)},
	{ParamJurisdiction, "", "", effectNextSession,
		"Jurisdiction ID of a Keon CA.", printable},
	{ParamSCEPPort, "80", "", effectNextSession,
		"Port of the third-party CA.", between(1, 65535)},
	{ParamCAAddress, "", "", effectNextSession,
		"Address or name of the third-party CA, or the URL of its SCEP service.", authorityAddress},
	{ParamPhonePort, "3804", "", effectNextServe,
		"TCP port on which phones call CAPF. After a change phones must be reset.", between(2000, 9999)},
	{ParamOperationExpiresIn, "10", "days", effectNextOperation,
		"How long an operation stays pending where no date and time is given.", between(1, 36500)},
	{ParamECBackup, ECBackupNone, "bits", effectNextSession,
		"Key order: size of the RSA key that a phone is asked for when it cannot make the EC key of its settings (EC preferred with RSA backup); none: EC only.", backupSize},
	{ParamWindow, WindowNone, "", effectNextSession,
		"When phones that come by themselves (null string, existing certificate) are served: [DAYS ]HH:MM-HH:MM[ ZONE], as `22:00-05:00`, `mon-fri 22:00-05:00` or `sat,sun 00:00-24:00 Europe/Rome`; none: at any time. Without a zone it is this machine's time; the day is the one on which it opens. Strings that a person types always go, and so do phones in authenticated or encrypted mode without a valid LSC.", windowValue},
	{ParamRenewal, RenewalOff, "", effectNextOpening,
		"on: an LSC is renewed when two thirds of its life are over, spread over up to 28 nights (in the maintenance window, else from 01:00 to 05:00), by the null string where that is the phone's mode, else by existing certificate; never by authentication string, since nobody is there to type it. A phone that was enrolled by string gets the mode existing-certificate-lsc: its configuration file must say so too. Phones are reset by [reset] of the configuration.", renewalValue},
}

// FindParameter gives the description of a parameter.
func FindParameter(name string) (Parameter, error) {
	for _, p := range ParameterList {
		if p.Name == name {
			return p, nil
		}
	}
	return Parameter{}, &Error{Code: CodeInvalid, Message: fmt.Sprintf("parameter %q does not exist", plain.Clip(name)),
		Hint: "see `capf parameter list`"}
}

// Normalise checks a value and gives the form that is stored.
func (p Parameter) Normalise(value string) (string, error) {
	normal, err := p.normalise(strings.TrimSpace(value))
	if err != nil {
		return "", &Error{Code: CodeInvalid, Message: fmt.Sprintf("parameter %s: %q", p.Name, plain.Clip(value)), Hint: err.Error()}
	}
	return normal, nil
}

// Parameters are the values in force, by name; a name that is missing has its default.
type Parameters map[string]string

// Get gives the value of a parameter.
func (p Parameters) Get(name string) string {
	if value, set := p[name]; set {
		return value
	}
	definition, _ := FindParameter(name)
	return definition.Default
}

// Clone gives a copy that the caller may change.
func (p Parameters) Clone() Parameters { return maps.Clone(p) }

// ECBackupNone is the value of ParamECBackup without a backup.
const ECBackupNone = "none"

// BackupKeySize is the RSA key size for phones that cannot make an EC key; empty for none (B4, key order).
func (p Parameters) BackupKeySize() KeySize {
	if value := p.Get(ParamECBackup); value != ECBackupNone {
		return KeySize(value)
	}
	return ""
}

// KeySize is the key size of a new phone (C3).
func (p Parameters) KeySize() KeySize { return KeySize(p.Get(ParamKeySize)) }

// NotAfter gives the end of a certificate that begins at start (C2).
func (p Parameters) NotAfter(start time.Time) time.Time {
	value := p.Get(ParamValidity)
	if days, inDays := strings.CutSuffix(value, "d"); inDays {
		return start.AddDate(0, 0, number(days))
	}
	return start.AddDate(number(value), 0, 0)
}

// KeyGenerationTime is how long one key generation may take (C4).
func (p Parameters) KeyGenerationTime() time.Duration {
	return time.Duration(number(p.Get(ParamKeyGenerationTime))) * time.Minute
}

// KeyGenerationAttempts is how often a phone is asked for a key, at least once (C5).
func (p Parameters) KeyGenerationAttempts() int {
	return max(1, number(p.Get(ParamKeyGenerationAttempts)))
}

// PhonePort is the TCP port for phones (C9).
func (p Parameters) PhonePort() int { return number(p.Get(ParamPhonePort)) }

// OperationDeadline is when an operation that is set now must be complete (B12).
func (p Parameters) OperationDeadline(now time.Time) time.Time {
	return now.AddDate(0, 0, number(p.Get(ParamOperationExpiresIn)))
}

// number reads a value that Normalise has let through.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

func between(lowest, highest int) func(string) (string, error) {
	return func(value string) (string, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < lowest || n > highest {
			return "", fmt.Errorf("use a whole number from %d to %d", lowest, highest)
		}
		return strconv.Itoa(n), nil
	}
}

func validity(value string) (string, error) {
	text, highest, unit := value, 5, ""
	if days, inDays := strings.CutSuffix(value, "d"); inDays {
		text, highest, unit = days, 1825, "d"
	}
	normal, err := between(1, highest)(text)
	if err != nil {
		return "", fmt.Errorf("use 1 to 5 (years) or 1d to 1825d (days)")
	}
	return normal + unit, nil
}

func keySize(value string) (string, error) {
	if !slices.Contains(KeySizes, KeySize(value)) {
		return "", fmt.Errorf("use one of %s", join(KeySizes))
	}
	return value, nil
}

func backupSize(value string) (string, error) {
	if value == ECBackupNone || slices.Contains(KeySizes, KeySize(value)) && !KeySize(value).IsEC() {
		return value, nil
	}
	return "", fmt.Errorf("use none, 512, 1024, 2048, 3072 or 4096")
}

func printable(value string) (string, error) {
	const most = 255
	if len(value) > most || !utf8.ValidString(value) || strings.ContainsFunc(value, plain.IsControl) {
		return "", fmt.Errorf("use at most %d bytes of UTF-8, none of them a control character", most)
	}
	return value, nil
}

// onlyCAPF refuses the third-party issuers of C1: to issue by ourselves where the administrator has asked
// for another CA would be wrong, so the choice is not taken.
func onlyCAPF(value string) (string, error) {
	if value != IssuerCAPF {
		return "", fmt.Errorf("certificates are issued by %s; a third-party CA cannot be chosen in this version", IssuerCAPF)
	}
	return value, nil
}

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
