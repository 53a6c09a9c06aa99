package migrate

import (
	"context"

	"capf/runtime/capf"
)

// ClusterStore is what the store knows about the cluster.
type ClusterStore interface {
	// Parameters gives the values that were ever set.
	Parameters(ctx context.Context) (capf.Parameters, error)
	Nodes(ctx context.Context) ([]capf.Node, error)
	Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error)
}

// PhoneStore is what the store knows about phones and the records that they came from.
type PhoneStore interface {
	Phones(ctx context.Context, filter capf.PhoneFilter, yield func(capf.Phone) error) error
	Provenances(ctx context.Context, yield func(device string, provenance capf.Provenance) error) error
	// KnownRecords gives the records that applied runs have read.
	KnownRecords(ctx context.Context, yield func(device, digest string) error) error
	// Certificates gives those of one device, or of all for "".
	Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error
}

// PlanStore is what a plan looks at. It changes nothing.
type PlanStore interface {
	ClusterStore
	PhoneStore
	RunList
	// AppliedRun gives nil where no applied run has the key.
	AppliedRun(ctx context.Context, key string) (*capf.MigrationRun, error)
	RunRows
}

// StagingStore takes the rows of a run, of which nothing can be seen before ApplyRun, and then all of it.
type StagingStore interface {
	// BeginRun clears what runs have left that were not applied, and gives the number of this one.
	BeginRun(ctx context.Context, run capf.MigrationRun) (int64, error)
	StageRecords(ctx context.Context, run int64, records []capf.ImportRecord) error
	// StagePhones takes phones whose records are staged.
	StagePhones(ctx context.Context, run int64, phones []capf.StagedPhone) error
	StageKept(ctx context.Context, run int64, lines []capf.KeptLine) error
	StageFiles(ctx context.Context, run int64, files []capf.LegacyFile) error
	StageParameters(ctx context.Context, run int64, values map[string]string) error
	ApplyRun(ctx context.Context, run int64, counts capf.MigrationCounts) error
}

// RunStore is what a run needs.
type RunStore interface {
	PlanStore
	StagingStore
}

// RunList gives the runs that were applied.
type RunList interface {
	// Runs gives the oldest first.
	Runs(ctx context.Context) ([]capf.MigrationRun, error)
}

// RunRows hands out what an applied run has stored.
type RunRows interface {
	ImportRecords(ctx context.Context, run int64, yield func(capf.ImportRecord) error) error
	KeptLines(ctx context.Context, run int64, yield func(capf.KeptLine) error) error
	LegacyFiles(ctx context.Context, run int64, yield func(capf.LegacyFile) error) error
}

// VerifyStore is what a verification looks at. It changes nothing.
type VerifyStore interface {
	RunList
	RunRows
	// TakenPhones gives every phone, in the order of their names, with the record of the run that it comes from.
	TakenPhones(ctx context.Context, run int64, yield func(capf.TakenPhone) error) error
	// Certificates gives those of one device, or of all for "".
	Certificates(ctx context.Context, device string, yield func(capf.Certificate) error) error
	Anchors(ctx context.Context, kind capf.CertificateKind) ([]capf.Anchor, error)
	// TakenParameters gives the parameters that the run set.
	TakenParameters(ctx context.Context, run int64) ([]capf.TakenParameter, error)
}

// emptyStore stands for a store that is not there yet. It has no runs, so nobody asks for the rows of one.
type emptyStore struct{ RunRows }

func (emptyStore) Parameters(context.Context) (capf.Parameters, error) { return capf.Parameters{}, nil }

func (emptyStore) Nodes(context.Context) ([]capf.Node, error) { return nil, nil }

func (emptyStore) Anchors(context.Context, capf.CertificateKind) ([]capf.Anchor, error) {
	return nil, nil
}

func (emptyStore) Phones(context.Context, capf.PhoneFilter, func(capf.Phone) error) error { return nil }

func (emptyStore) Provenances(context.Context, func(string, capf.Provenance) error) error { return nil }

func (emptyStore) KnownRecords(context.Context, func(string, string) error) error { return nil }

func (emptyStore) AppliedRun(context.Context, string) (*capf.MigrationRun, error) { return nil, nil }

func (emptyStore) Certificates(context.Context, string, func(capf.Certificate) error) error {
	return nil
}

func (emptyStore) Runs(context.Context) ([]capf.MigrationRun, error) { return nil, nil }
