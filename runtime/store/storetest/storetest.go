// Package storetest says as tests what every engine of the store must do. An engine's own tests call Run
// with a function that makes an empty store; what only one engine has (files, modes, locks, queries by an
// index) is tested beside it.
//
// The rules come from capf-guide.md (B, C, *Rules of ours*), cli.md and legacy-layout.md.
package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"capf/runtime/capf"
)

// Phones are the settings of phones and their history.
type Phones interface {
	Phone(ctx context.Context, device string) (capf.Phone, error)
	Phones(ctx context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error
	ApplyChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error)
	TryChanges(ctx context.Context, mode capf.ApplyMode, changes []capf.PhoneChange, change capf.ChangeContext) ([]capf.Changed, error)
	RemovePhones(ctx context.Context, devices []string, actor string) error
	Operations(ctx context.Context, device string) ([]capf.OperationRecord, error)
	Attempts(ctx context.Context, device string) ([]capf.Attempt, error)
	Audit(ctx context.Context, limit int) ([]capf.AuditEntry, error)
}

// Sessions is what happens while phones call.
type Sessions interface {
	BeginOperation(ctx context.Context, device string, ref capf.OperationRef, info capf.SessionInfo) error
	AddIssued(ctx context.Context, ref capf.OperationRef, presented *capf.Presented, certificate capf.Certificate) (int64, error)
	PublicKeyOwner(ctx context.Context, keySHA256 string) (device string, found bool, err error)
	EndOperation(ctx context.Context, device string, ref capf.OperationRef, outcome capf.Outcome) error
	ReleaseOperation(ctx context.Context, ref capf.OperationRef, instance string, result capf.Result) error
	RecordAttempt(ctx context.Context, attempt capf.Attempt) error
	ExpireOperations(ctx context.Context, now time.Time, limit int) (int, error)
	Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error
	Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error)
}

// Seeing is what an administrator looks at and chooses to see.
type Seeing interface {
	Traces(ctx context.Context) ([]capf.TraceSetting, error)
	SetTrace(ctx context.Context, subject string, level capf.TraceLevel, actor string) error
	PhonesByTLS(ctx context.Context) (map[string]int, error)
	OpenOperations(ctx context.Context) (all, late int, err error)
}

// Cluster is what belongs to all servers.
type Cluster interface {
	Parameters(ctx context.Context) (capf.Parameters, error)
	SetParameter(ctx context.Context, name, value, actor string) error
	AddNode(ctx context.Context, node capf.Node, actor string) error
	Nodes(ctx context.Context) ([]capf.Node, error)
	Node(ctx context.Context, name string) (capf.Node, error)
	ChangeNode(ctx context.Context, name string, change func(*capf.Node) error, actor string) (changed []string, err error)
	RemoveNode(ctx context.Context, name, actor string) error
	AddToken(ctx context.Context, token capf.Token, actor string) error
	Tokens(ctx context.Context) ([]capf.Token, error)
	RemoveToken(ctx context.Context, name, actor string) error
	AddCTL(ctx context.Context, version capf.CTLVersion, actor string) (int64, error)
	CTLVersions(ctx context.Context) ([]capf.CTLVersion, error)
	CTL(ctx context.Context, version int64) (capf.CTLVersion, error)
	LatestCTL(ctx context.Context) (capf.CTLVersion, error)
	FieldCTL(ctx context.Context) (capf.CTLVersion, error)
	FieldITL(ctx context.Context) (capf.CTLVersion, error)
	ImportCTL(ctx context.Context, version capf.CTLVersion, actor string) (int64, bool, error)
	KeepCTL(ctx context.Context, version capf.CTLVersion, change capf.TokenChange, actor string) (int64, error)
	RecordDelivery(ctx context.Context, delivery capf.Delivery) error
	Deliveries(ctx context.Context) ([]capf.Delivery, error)
	OweRestart(ctx context.Context, node string, version int64) error
	Restarts(ctx context.Context) ([]capf.Restart, error)
	RestartsDone(ctx context.Context, nodes []string, actor string) error
}

// Migration is how the data of an older CAPF come in.
type Migration interface {
	AppliedRun(ctx context.Context, key string) (*capf.MigrationRun, error)
	Runs(ctx context.Context) ([]capf.MigrationRun, error)
	Run(ctx context.Context, id int64) (capf.MigrationRun, error)
	Provenances(ctx context.Context, yield func(device string, provenance capf.Provenance) error) error
	TakenPhones(ctx context.Context, run int64, yield func(capf.TakenPhone) error) error
	TakenParameters(ctx context.Context, run int64) ([]capf.TakenParameter, error)
	BeginRun(ctx context.Context, run capf.MigrationRun) (int64, error)
	StagePhones(ctx context.Context, run int64, phones []capf.StagedPhone) error
	StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error
	StageKept(ctx context.Context, run int64, lines []capf.KeptLine) error
	StageFiles(ctx context.Context, run int64, files []capf.LegacyFile) error
	StageParameters(ctx context.Context, run int64, values map[string]string) error
	ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error
	ImportRecords(ctx context.Context, run int64, yield func(capf.ImportRecord) error) error
	KeptLines(ctx context.Context, run int64, yield func(capf.KeptLine) error) error
	LegacyFiles(ctx context.Context, run int64, yield func(capf.LegacyFile) error) error
	KnownRecords(ctx context.Context, yield func(device, digest string) error) error
	RecordVerification(ctx context.Context, verification capf.MigrationVerification) error
	RollBackRun(ctx context.Context, run int64, by string) (capf.Rollback, error)
	TryRollBack(ctx context.Context, run int64, by string) (capf.Rollback, error)
}

// Store is all of what an engine does.
type Store interface {
	Phones
	Sessions
	Seeing
	Cluster
	Migration
	Authorities
	Windows
	IdleCalls
	Groups
	// Commits gives the number of transactions that the group commit has made.
	Commits() int64
	Check(ctx context.Context) error
}

// Start is when the clock of every test begins.
var Start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// Clock is a clock that a test sets.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now gives the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(by)
}

// suite is a store under test with its clock.
type suite struct {
	Store
	t     *testing.T
	ctx   context.Context
	clock *Clock
}

// Run holds a store to all rules; open gives an empty one that goes by the clock and is closed by the
// test's cleanup.
func Run(t *testing.T, open func(t *testing.T, clock func() time.Time) Store) {
	for _, area := range []struct {
		name  string
		tests map[string]func(*suite)
	}{
		{"phones", phoneTests}, {"filters", filterTests}, {"sessions", sessionTests}, {"certificates", certificateTests},
		{"attempts", attemptTests}, {"idle calls", idleCallTests}, {"seeing", seeingTests}, {"groups", groupTests}, {"cluster", clusterTests}, {"migration", migrationTests}, {"staging", stagingTests}, {"rollback", rollbackTests}, {"concurrency", concurrencyTests},
		{"issuers", issuerTests}, {"windows", windowTests},
	} {
		for name, test := range area.tests {
			t.Run(area.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				clock := &Clock{now: Start}
				test(&suite{Store: open(t, clock.Now), t: t, ctx: t.Context(), clock: clock})
			})
		}
	}
}
