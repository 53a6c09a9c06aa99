package sqlite

import (
	"fmt"
	"slices"

	"capf/runtime/capf"
)

// The conditions of the schema on the words of a column cost SQLite more than all the rest of writing a row: for each row
// it makes a table of the words. Rows of a run are many, so a connection that stages does not look at them, and they
// stand here once more.

// badColumn names the column of a phone that has none of its values; "" for none.
func badColumn(p *capf.Phone) string {
	switch {
	case !slices.Contains(capf.AuthModes, p.AuthMode):
		return "authentication mode"
	case !slices.Contains(capf.KeySizes, p.KeySize):
		return "key size"
	case !slices.Contains(capf.SecurityModes, p.SecurityMode):
		return "security mode"
	case p.LSCKnown != capf.LSCUnknown && p.LSCKnown != capf.LSCNone && p.LSCKnown != capf.LSCInstalled:
		return "LSC"
	case p.MIC != capf.MICUnknown && p.MIC != capf.MICNone && p.MIC != capf.MICPresent:
		return "MIC"
	case p.Last == nil || p.Last.Ref.ID != 0:
		return ""
	}
	return badOperation(p.Last)
}

var endings = []capf.Ending{capf.EndingNone, capf.EndingSuccess, capf.EndingFailed, capf.EndingExpired, capf.EndingReplaced, capf.EndingWithdrawn}

func badOperation(o *capf.OperationRecord) string {
	switch {
	case o.Operation != capf.OperationInstall && o.Operation != capf.OperationDelete && o.Operation != capf.OperationTroubleshoot:
		return "operation"
	case !slices.Contains(capf.AuthModes, o.AuthMode):
		return "authentication mode of the operation"
	case !slices.Contains(capf.KeySizes, o.KeySize):
		return "key size of the operation"
	case !slices.Contains(endings, o.Ending) || o.Ending == capf.EndingNone && !o.EndedAt.IsZero():
		return "end of the operation"
	}
	return ""
}

func checkPhone(p *capf.Phone) error {
	if bad := badColumn(p); bad != "" {
		return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("phone %s cannot be staged: %s", p.Device, bad)}
	}
	return nil
}

func checkVerdict(record *capf.ImportRecord) error {
	switch record.Verdict {
	case capf.VerdictNew, capf.VerdictUpdated, capf.VerdictUnchanged, capf.VerdictHistory:
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("record %s:%d cannot be staged: verdict %q", record.File, record.Line, record.Verdict)}
}

func checkUse(file *capf.LegacyFile) error {
	switch file.Use {
	case capf.LegacyAnchor, capf.LegacyLSC, capf.LegacyStored:
		return nil
	}
	return &capf.Error{Code: capf.CodeInvalid, Message: fmt.Sprintf("certificate %s cannot be staged: use %q", file.File, file.Use)}
}
