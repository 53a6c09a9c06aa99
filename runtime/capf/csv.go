package capf

import "strings"

// formulaMarks begin a text that a spreadsheet would run as a formula.
const formulaMarks = "=+-@"

// guardFormula puts a quote before text that a spreadsheet would take for a formula, and before text that
// looks as if it had been guarded, so that unguardFormula gives back exactly what there was.
func guardFormula(text string) string {
	if looksLikeFormula(strings.TrimLeft(text, "'")) {
		return "'" + text
	}
	return text
}

// unguardFormula takes off what guardFormula put before.
func unguardFormula(text string) string {
	if strings.HasPrefix(text, "'") && looksLikeFormula(strings.TrimLeft(text, "'")) {
		return text[1:]
	}
	return text
}

func looksLikeFormula(text string) bool {
	return text != "" && strings.IndexByte(formulaMarks, text[0]) >= 0
}
