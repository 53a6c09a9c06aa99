package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestClassifiedStatements(t *testing.T) {
	_, pool := newTestWriter(t)
	statements := NewStatements(pool, func(err error) error { return fmt.Errorf("classified: %w", err) })
	defer statements.Close()
	_, execErr := statements.Exec(`INSERT INTO nowhere VALUES (1)`)
	_, insertErr := statements.Insert(`INSERT INTO numbers (n) VALUES ('x')`)
	_, firstErr := statements.First(Into(new(int)), `SELECT nothing FROM numbers`)
	_, scanErr := statements.First(Into(new(int)), `SELECT 'x'`)
	eachErr := statements.Each(func(Scanner) error { return errors.New("enough") }, `SELECT 1`)
	for i, err := range []error{execErr, insertErr, firstErr, scanErr, eachErr} {
		if err == nil || !strings.HasPrefix(err.Error(), "classified: ") {
			t.Errorf("%d: %v", i, err)
		}
	}
	found, err := statements.First(Into(new(int)), `SELECT n FROM numbers WHERE n = 77`)
	if found || err != nil {
		t.Errorf("a row that is not there: %t, %v", found, err)
	}
}
