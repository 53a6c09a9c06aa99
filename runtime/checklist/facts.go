package checklist

import (
	"net/netip"
	"time"

	"capf/runtime/capf"
)

// Facts are what is known of the cluster at one moment.
type Facts struct {
	At   capf.Moment
	Data string // the data directory, for a person

	// Identity is the CAPF certificate in force, nil for none; IdentityProblem why it could not be read.
	Identity        *Authority
	IdentityProblem string
	Next            *Authority // made to follow it; nil for none

	Service Service
	Local   []netip.Addr // of this machine

	Tokens     []Token
	Nodes      []capf.Node
	List       *List    // the newest; nil for none
	Servers    []Server // what each node holds now; empty where there is nothing to compare with
	Advice     string   // what helps where they do not hold what they should
	Deliveries []capf.Delivery
	Restarts   []capf.Restart

	Runs       []capf.MigrationRun // applied, the oldest first
	Unfinished int                 // runs that were not
	Phones     []capf.PhoneGroup
	Parameters capf.Parameters
}

// Authority is a certificate of CAPF's own.
type Authority struct {
	Name     string
	Serial   string
	NotAfter time.Time
}

// Service is the one on this data directory.
type Service struct {
	Running  bool
	Sessions int    // that it has now
	Problem  string // why it could not be asked
}

// Token is a security token.
type Token struct {
	Name    string
	Problem string // why it cannot sign now; empty where it can
}

// List is a trust list.
type List struct {
	Version       int64
	SignedAt      time.Time
	Signer        string
	Problem       string   // why it cannot be read or does not verify
	HoldsIdentity bool     // as CAPF's
	HoldsNext     bool     // as CAPF's
	Lacks         []string // nodes whose certificate is not in it
	Ending        []string // what to do about certificates of it that are at their end or near it, a sentence each
}

// Server is what a node holds, as it was read just now.
type Server struct {
	Node         string
	List         string // equal, old, foreign, missing or unreachable
	Version      int    // of an old list
	Certificates string // the worst of the CAPF certificates there, in the same words
	Problem      string // why it could not be read; names the node
}

// The words for what is as it should be, and for what could not be read.
const (
	equal       = "equal"
	unreachable = "unreachable"
)

// State says how it stands with a step.
type State string

// The states of a step. Unknown: not to be known from here.
const (
	Done    State = "done"
	ToDo    State = "to-do"
	Unknown State = "unknown"
)

// Step is a line of the list.
type Step struct {
	Number   string `json:"step"`
	What     string `json:"what"`
	State    State  `json:"state"`
	Evidence string `json:"evidence"`
	Next     string `json:"next"` // what to do; empty where that is nothing
}

// Open counts the steps that are to do.
func Open(steps []Step) (count int) {
	for _, one := range steps {
		if one.State == ToDo {
			count++
		}
	}
	return count
}

// finding is what is found of a step.
type finding struct {
	state    State
	evidence string
	next     string
}

func done(evidence string) finding          { return finding{Done, evidence, ""} }
func toDo(evidence, next string) finding    { return finding{ToDo, evidence, next} }
func unknown(evidence, next string) finding { return finding{Unknown, evidence, next} }

func (f finding) step(number, what string) Step {
	return Step{Number: number, What: what, State: f.state, Evidence: f.evidence, Next: f.next}
}
