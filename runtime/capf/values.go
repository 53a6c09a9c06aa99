package capf

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"capf/internal/plain"
)

// Operation is the certificate operation that is set for a phone (B1).
type Operation string

// The certificate operations.
const (
	OperationNone         Operation = "none"
	OperationInstall      Operation = "install" // and upgrade
	OperationDelete       Operation = "delete"
	OperationTroubleshoot Operation = "troubleshoot"
)

// AuthMode is how a phone authenticates in a CAPF session (B2).
type AuthMode string

// The authentication modes.
const (
	AuthByString     AuthMode = "authentication-string"
	AuthByNullString AuthMode = "null-string"
	AuthByLSC        AuthMode = "existing-certificate-lsc" // precedence to LSC
	AuthByMIC        AuthMode = "existing-certificate-mic" // precedence to MIC
)

// KeySize names the type and size of a key pair (B4): bits for RSA, a curve for EC.
type KeySize string

// The key sizes.
const (
	RSA512  KeySize = "512"
	RSA1024 KeySize = "1024"
	RSA2048 KeySize = "2048"
	RSA3072 KeySize = "3072"
	RSA4096 KeySize = "4096"
	P256    KeySize = "p256"
	P384    KeySize = "p384"
	P521    KeySize = "p521"
)

// SecurityMode is the device security mode of a phone.
type SecurityMode string

// The device security modes.
const (
	NonSecure     SecurityMode = "non-secure"
	Authenticated SecurityMode = "authenticated"
	Encrypted     SecurityMode = "encrypted"
)

// Status is how far the last operation of a phone has come (B6).
type Status string

// The operation states.
const (
	StatusNone       Status = "none"
	StatusPending    Status = "pending"
	StatusInProgress Status = "in-progress" // a session of a living service carries it out
	StatusSuccess    Status = "success"
	StatusFailed     Status = "failed"
	StatusExpired    Status = "expired" // pending past its deadline
)

// LSCStatus is what is known of the LSC in a phone.
type LSCStatus string

// What can be known of an LSC. Unknown: nothing seen yet, or issued by an older CAPF and not seen since.
const (
	LSCUnknown   LSCStatus = "unknown"
	LSCNone      LSCStatus = "none"
	LSCInstalled LSCStatus = "installed"
	LSCExpired   LSCStatus = "expired"
)

// MICStatus is what is known of the MIC in a phone.
type MICStatus string

// What can be known of a MIC.
const (
	MICUnknown MICStatus = "unknown"
	MICNone    MICStatus = "none"
	MICPresent MICStatus = "present"
)

// CertificateKind tells LSC from MIC.
type CertificateKind string

// The kinds of certificate.
const (
	LSC CertificateKind = "lsc"
	MIC CertificateKind = "mic"
)

// CertificateState is where a certificate is in its life.
type CertificateState string

// The certificate states. Issued: it left for the phone, which has not answered.
const (
	CertificateIssued    CertificateState = "issued"
	CertificateConfirmed CertificateState = "confirmed"
	CertificateRevoked   CertificateState = "revoked"
)

// NodeRole is what a server of the cluster does for phones.
type NodeRole string

// The node roles.
const (
	RoleCCMTFTP NodeRole = "ccm+tftp"
	RoleCCM     NodeRole = "ccm"
	RoleTFTP    NodeRole = "tftp"
)

// ClusterMode is the security mode of the cluster. It is kept with a CTL and shown; the file has no field for it.
type ClusterMode string

// The cluster security modes.
const (
	ClusterNonSecure ClusterMode = "non-secure"
	ClusterMixed     ClusterMode = "mixed"
)

// The values of each type, in the order in which they are shown.
var (
	Operations    = []Operation{OperationNone, OperationInstall, OperationDelete, OperationTroubleshoot}
	AuthModes     = []AuthMode{AuthByString, AuthByNullString, AuthByLSC, AuthByMIC}
	KeySizes      = []KeySize{RSA512, RSA1024, RSA2048, RSA3072, RSA4096, P256, P384, P521}
	SecurityModes = []SecurityMode{NonSecure, Authenticated, Encrypted}
	Statuses      = []Status{StatusNone, StatusPending, StatusInProgress, StatusSuccess, StatusFailed, StatusExpired}
	LSCStatuses   = []LSCStatus{LSCNone, LSCInstalled, LSCExpired, LSCUnknown}
	NodeRoles     = []NodeRole{RoleCCMTFTP, RoleCCM, RoleTFTP}
	ClusterModes  = []ClusterMode{ClusterNonSecure, ClusterMixed}
)

// UnmarshalText takes one of Operations.
func (v *Operation) UnmarshalText(text []byte) error { return oneOf(v, "operation", text, Operations) }

// UnmarshalText takes one of AuthModes.
func (v *AuthMode) UnmarshalText(text []byte) error {
	return oneOf(v, "authentication mode", text, AuthModes)
}

// UnmarshalText takes one of KeySizes.
func (v *KeySize) UnmarshalText(text []byte) error { return oneOf(v, "key size", text, KeySizes) }

// UnmarshalText takes one of SecurityModes.
func (v *SecurityMode) UnmarshalText(text []byte) error {
	return oneOf(v, "security mode", text, SecurityModes)
}

// UnmarshalText takes one of Statuses.
func (v *Status) UnmarshalText(text []byte) error { return oneOf(v, "status", text, Statuses) }

// UnmarshalText takes one of LSCStatuses.
func (v *LSCStatus) UnmarshalText(text []byte) error {
	return oneOf(v, "LSC status", text, LSCStatuses)
}

// UnmarshalText takes one of NodeRoles.
func (v *NodeRole) UnmarshalText(text []byte) error { return oneOf(v, "node role", text, NodeRoles) }

// UnmarshalText takes one of ClusterModes.
func (v *ClusterMode) UnmarshalText(text []byte) error {
	return oneOf(v, "cluster security mode", text, ClusterModes)
}

func oneOf[T ~string](target *T, what string, text []byte, values []T) error {
	if !slices.Contains(values, T(text)) {
		return &Error{Code: CodeInvalid, Message: fmt.Sprintf("%s %q", what, plain.Clip(string(text))),
			Hint: "use one of " + join(values)}
	}
	*target = T(text)
	return nil
}

func join[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = string(value)
	}
	return strings.Join(words, ", ")
}

// Bits gives the size of an RSA key in bits, and 0 for EC.
func (v KeySize) Bits() int {
	switch v {
	case RSA512:
		return 512
	case RSA1024:
		return 1024
	case RSA2048:
		return 2048
	case RSA3072:
		return 3072
	case RSA4096:
		return 4096
	}
	return 0
}

// IsEC reports whether it names a curve.
func (v KeySize) IsEC() bool { return v == P256 || v == P384 || v == P521 }

// IsSecure reports whether a phone in this mode registers only with a valid certificate.
func (v SecurityMode) IsSecure() bool { return v == Authenticated || v == Encrypted }

// Result is the number that the log and the report give for an outcome or an attempt. These are not the
// reasons of the wire.
type Result int

// The result codes.
const (
	ResultSuccess            Result = 0
	ResultFetchedNone        Result = 1 // fetched, no certificate
	ResultFailed             Result = 2
	ResultInvalidAuthString  Result = 3
	ResultInvalidLSC         Result = 4
	ResultInvalidMIC         Result = 5
	ResultInvalidCredentials Result = 6
	ResultCommunication      Result = 7
	ResultTimedOut           Result = 8
	ResultTooLate            Result = 11 // asked for by the user after the deadline
)

var resultWords = map[Result]string{
	ResultSuccess:            "success",
	ResultFetchedNone:        "fetched, no certificate",
	ResultFailed:             "failed",
	ResultInvalidAuthString:  "invalid authentication string",
	ResultInvalidLSC:         "invalid LSC",
	ResultInvalidMIC:         "invalid MIC",
	ResultInvalidCredentials: "invalid credentials",
	ResultCommunication:      "phone communication error",
	ResultTimedOut:           "timed out",
	ResultTooLate:            "too late",
}

// String gives the words of the log.
func (r Result) String() string {
	if words, known := resultWords[r]; known {
		return words
	}
	return "result " + strconv.Itoa(int(r))
}
