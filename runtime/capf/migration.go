package capf

import "time"

// MigrationRun is one run of the migration, or the run that a plan would be.
type MigrationRun struct {
	ID        int64
	Key       string // digest of sources, dialect and decisions: the same key changes nothing twice
	Dialect   string // path of the dialect file that was given; empty: built-in ones
	Prefer    string // the choice for conflicts; empty for none
	StartedAt time.Time
	AppliedAt time.Time // zero while its rows are staged
	By        string
	Sources   []MigrationSource
	Counts    MigrationCounts
	// Decisions are those about single conflicts, by device; Missing says what was missing and accepted.
	Decisions []MigrationDecision
	Missing   []string

	RolledBackAt time.Time // zero for a run that stands
	RolledBackBy string

	// Verified is the last verification of the run; nil: there was none.
	Verified *MigrationVerification
}

// MigrationDecision is what was decided about the conflict of one phone.
type MigrationDecision struct {
	Device string `json:"device"`
	Choose string `json:"choose"` // a source, the place of a record, or the store
}

// MigrationSource is one machine that a run read.
type MigrationSource struct {
	Machine string
	Path    string
	Digest  string // of all its files
	Dialect string // by which its phone records were read
}

// MigrationCounts says what a run did, by records of phones.
type MigrationCounts struct {
	Records   int `json:"records"`   // phone records read
	New       int `json:"new"`       // phones added
	Updated   int `json:"updated"`   // phones changed
	Unchanged int `json:"unchanged"` // phones that were as the sources say, or newer here
	History   int `json:"history"`   // older records of a phone, kept beside
	KeptAside int `json:"kept-aside"`
	Conflicts int `json:"conflicts"`
	Anchors   int `json:"anchors"` // trust anchors added
	Stored    int `json:"stored"`  // certificates stored, not trusted
	LSCs      int `json:"lscs"`    // LSCs of phones, found beside
	Pending   int `json:"pending"` // operations that go on
}

// ImportRecord is one record of a phone in the files of an older CAPF, with what the run makes of it.
type ImportRecord struct {
	Device  string
	Machine string
	File    string
	Line    int
	Digest  string // of the record's own bytes, hex SHA-256
	Raw     []byte // those bytes
	Time    string // of its status, as the file says it; local unless it carries a zone
	Verdict Verdict
}

// StagedPhone is a phone that a run makes of a record which is staged already.
type StagedPhone struct {
	Record  int // its number among the records of the run, from 1
	Verdict Verdict
	Phone   Phone
	// Changes is the Provenance's count for the phone that was planned with. The run is refused where it has grown
	// since. 0: the phone as it is when it is staged.
	Changes int64
}

// Verdict is what a run makes of a record.
type Verdict string

// The verdicts.
const (
	VerdictNew       Verdict = "new"
	VerdictUpdated   Verdict = "updated"
	VerdictUnchanged Verdict = "unchanged"
	VerdictHistory   Verdict = "history"
)

// Provenance tells where the store's version of a phone comes from.
type Provenance struct {
	// Imported is the record that the phone was last taken from, without its bytes; nil for a phone that was added here.
	Imported *ImportRecord
	// ChangedAt is when a person or the phone itself last changed it; zero where nobody has since the
	// import.
	ChangedAt time.Time
	// Changes grows with every change of the phone's settings or operation, whoever made it; never 0.
	Changes int64
}

// TakenPhone is a phone as far as a record can say something of it, with where it comes from.
type TakenPhone struct {
	Device      string
	Description string
	AuthMode    AuthMode
	AuthString  AuthenticationString
	KeySize     KeySize
	Last        *OperationRecord // without its dates but that of its end; nil for a phone that never had one

	// Record is the number, among those of the run in question and from 1, of the record that the phone was last taken
	// from. 0: of another run, then Digest is that record's and Machine its source, or of none.
	Record    int
	Digest    string
	Machine   string
	ChangedAt time.Time // as in Provenance
}

// Phone gives what is known of the phone.
func (t *TakenPhone) Phone() Phone {
	return Phone{Device: t.Device, Description: t.Description, AuthMode: t.AuthMode, AuthString: t.AuthString, KeySize: t.KeySize, Last: t.Last}
}

// KeptLine is a part of a source that was not understood. It is kept as it was.
type KeptLine struct {
	Machine string
	File    string
	Line    int
	Bytes   []byte // nil for private keys, of which only the digest is kept
	SHA256  string
	Reason  string
}

// LegacyFile is a certificate from the files of an older CAPF, trusted or not.
type LegacyFile struct {
	Machine string
	File    string
	Line    int
	SHA256  string
	Subject string
	DER     []byte
	Use     LegacyUse
	Why     string // for a person
}

// LegacyUse is what a run makes of a certificate.
type LegacyUse string

// The uses of legacy certificates.
const (
	LegacyAnchor LegacyUse = "anchor" // becomes a trust anchor for LSCs
	LegacyLSC    LegacyUse = "lsc"    // the LSC of a phone, issued by such an anchor
	LegacyStored LegacyUse = "stored" // kept, not trusted
)

// AuditEntry is a change that somebody made, for the record.
type AuditEntry struct {
	At      time.Time
	Actor   string
	Action  string
	Subject string
	Detail  string
}
