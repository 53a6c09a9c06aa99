package phone

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"capf/runtime/capf"
	"capf/runtime/wire"
)

// Outcome says what came of a phone's call: what the server had it do, and how that ended. Of a call with
// several attempts it is the last one.
type Outcome struct {
	Device    string
	Operation capf.Operation // what the server asked for; none where it asked for nothing
	Err       error          // nil if an operation was carried out and the server ended it as one

	Reason      wire.Optional[wire.Reason] // with which the server ended the session; missing where it did not
	Certificate *x509.Certificate          // stored or shown; nil where there is none
	Server      *x509.Certificate          // the server's in the handshake
	TLSVersion  uint16                     // 0 where there was no handshake
	CipherSuite uint16
	Records     []int // TLS records with application data that each message received came in; see RecordCounter
	Attempts    int
	Duration    time.Duration // of all attempts and the waits between them
}

// connected notes what the handshake came to.
func (o *Outcome) connected(state tls.ConnectionState) {
	o.TLSVersion, o.CipherSuite = state.Version, state.CipherSuite
	o.Server = state.PeerCertificates[0]
}

// judge says whether the phone got what it came for. The last message of an installation or deletion
// carries reason 1, that of a fetch reason 0; as every element beyond the traced ones it may be missing.
func (o *Outcome) judge(refusal error) error {
	reason := o.Reason.Or(wire.ReasonSuccess)
	done := reason == wire.ReasonSuccess
	switch o.Operation {
	case capf.OperationInstall:
		done = done && o.Certificate != nil
	case capf.OperationTroubleshoot:
		done = done || reason == wire.ReasonNoAction
	case capf.OperationNone:
		done = false
	}
	if done && refusal == nil {
		return nil
	}
	return &EndError{Operation: o.Operation, Reason: reason, Refusal: refusal}
}
