// Package migrate takes the data of CAPF 1.0(1) over into the store: it looks (Inspect), says what it would do (Plan),
// does it (Run), compares afterwards (Verify) and lists what was done (List).
//
// What is certain about the old data is legacy-layout.md; section E of the guide has the order of an upgrade. Rules of
// this package, where those leave a choice:
//
//   - All machines of a cluster are read in one run and merged; in which order they are given never matters. Of several
//     records of a phone the latest operation status wins, the others are kept as its history (merge.go).
//   - A string belongs to one operation and is void when that has ended (B, "Life of a string"). So it is taken over for
//     a pending operation by authentication string and for nothing else; those of ended operations stay in the bytes of
//     their records only.
//   - A pending operation gets a deadline here: now and the enterprise parameter. What a file says about one is local
//     time of long ago, and stays in the bytes of the record.
//   - What a person or a phone has changed here is never overwritten without a choice (settle.go).
//   - What must have been forgotten when the sources were copied is said first, and a run is refused for what files prove,
//     until it is accepted (missing.go). What was decided phone by phone goes before a rule (decisions.go).
//   - A record that the store has already was decided then. It takes no part again.
//
// Runs are staged in batches and become visible in one step. Nothing is ever written to a source.
package migrate
