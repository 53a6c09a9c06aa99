package capf

import "time"

// SessionInfo identifies a session towards the store.
type SessionInfo struct {
	Instance string // of the service
	Address  string // of the phone, without port
	TLS      string // version, as `1.0`
	Started  time.Time

	// Presented is what the phone authenticated by; nil for the other modes. That the phone has that
	// certificate counts as its confirmation.
	Presented *Presented
}

// Presented is the certificate by which a phone authenticated, and what vouches for it. A session hands it to the
// store with everything that it has done there: neither may have been withdrawn since.
type Presented struct {
	Certificate
	// Anchor is the SHA-256 of the trust anchor that has issued it, hex; empty where that is CAPF's certificate in
	// force, which is no anchor of the store.
	Anchor string
}

// Attempt is a session that did not come to an operation, or not to its end. The first kind is the only
// thing that a phone which has not authenticated may write. The log of them is bounded for each device.
type Attempt struct {
	Device  string
	Address string
	At      time.Time
	Result  Result
	Detail  string
	TLS     string // version, as `1.0`
}

// MaxAttempts is how many attempts are kept for a device.
const MaxAttempts = 20

// Outcome is what came of an operation in a session.
type Outcome struct {
	Ending Ending // success or failed
	Result Result
	Detail string
	At     time.Time
	By     string // who ended it: the phone's address, or the service

	// Presented is what the phone authenticated by; nil for the other modes.
	Presented *Presented

	// Confirmed is the ID of the certificate that the phone has stored; 0 for none. One that was revoked before the
	// phone said so is no success.
	Confirmed int64
	// Seen are the certificates that the phone returned, one of a kind at the most.
	Seen []Certificate
	// LSC and MIC are what is known of the phone's certificates now; empty leaves what was known.
	LSC LSCStatus
	MIC MICStatus
}
