package capf

import "time"

// Rollback says what going back before a run of the migration did, or would do.
type Rollback struct {
	Run    int64          `json:"run"`
	DryRun bool           `json:"dry-run"` // nothing was changed
	At     time.Time      `json:"at"`
	By     string         `json:"by"`
	Counts RollbackCounts `json:"counts"`
	Kept   []RollbackKept `json:"kept"`
}

// RollbackCounts says how much was restored.
type RollbackCounts struct {
	PhonesRemoved      int `json:"phones-removed"`  // that the run had added
	PhonesRestored     int `json:"phones-restored"` // that the run had changed
	OperationsRemoved  int `json:"operations-removed"`
	OperationsReopened int `json:"operations-reopened"` // that the run had ended
	Certificates       int `json:"certificates-removed"`
	Anchors            int `json:"anchors-removed"`
	Parameters         int `json:"parameters-removed"`
}

// RollbackKept is something of a run that stays, and why.
type RollbackKept struct {
	Kind   RollbackKind `json:"kind"`
	Name   string       `json:"name"` // device, serial number or name of a parameter
	Reason string       `json:"reason"`
}

// RollbackKind is what kind of thing stays.
type RollbackKind string

// The kinds of things that can stay.
const (
	RollbackPhone       RollbackKind = "phone"
	RollbackCertificate RollbackKind = "certificate"
	RollbackAnchor      RollbackKind = "anchor"
	RollbackParameter   RollbackKind = "parameter"
)
