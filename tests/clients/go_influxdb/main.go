// The Go library influxdb1-client/v2: writes points of every type, asks for them in one piece and in chunks, and prints
// what it was told as JSON.
//
//	go_influxdb URL
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"os"
	"time"

	client "github.com/influxdata/influxdb1-client/v2"
)

const (
	database = "go"
	start    = 1_600_000_000
)

// Told is what the driver checks.
type Told struct {
	Version  string
	Rows     [][]interface{}
	Columns  []string
	Chunks   []int
	Bound    []interface{}
	Refused  string
	Conflict string
	Missing  string
}

func main() {
	c, err := client.NewHTTPClient(client.HTTPConfig{Addr: os.Args[1], Timeout: time.Minute, WriteEncoding: client.GzipEncoding})
	check(err)
	defer c.Close()
	var told Told
	_, told.Version, err = c.Ping(5 * time.Second)
	check(err)
	ask(c, "CREATE DATABASE "+database)

	points, err := client.NewBatchPoints(client.BatchPointsConfig{Database: database, Precision: "ns"})
	check(err)
	add(points, map[string]string{"host": "a b,c=d"}, map[string]interface{}{"load": 0.25, "n": int64(1), "up": true, "note": "say \"hi\", \\ back"}, 1)
	add(points, map[string]string{"host": "東京"}, map[string]interface{}{"load": 1e300, "n": int64(-1 << 63), "up": false, "note": "東京 🌊"}, 2)
	add(points, nil, map[string]interface{}{"n": int64(1<<63 - 1)}, 3)
	check(c.Write(points))

	many, err := client.NewBatchPoints(client.BatchPointsConfig{Database: database, Precision: "s"})
	check(err)
	for n := int64(0); n < 1000; n++ {
		point, err := client.NewPoint("many", map[string]string{"k": string(rune('a' + n%3))}, map[string]interface{}{"n": n}, time.Unix(start+n, 0))
		check(err)
		many.AddPoint(point)
	}
	check(c.Write(many))

	rows := ask(c, "SELECT * FROM plain")
	told.Rows, told.Columns = rows.Results[0].Series[0].Values, rows.Results[0].Series[0].Columns

	chunked := client.NewQuery("SELECT n FROM many", database, "ns")
	chunked.Chunked, chunked.ChunkSize = true, 300
	stream, err := c.QueryAsChunk(chunked)
	check(err)
	defer stream.Close()
	for {
		part, err := stream.NextResponse()
		if errors.Is(err, io.EOF) || part == nil {
			break
		}
		check(err)
		check(part.Error())
		told.Chunks = append(told.Chunks, len(part.Results[0].Series[0].Values))
	}

	bound := client.NewQueryWithParameters("SELECT n FROM plain WHERE host = $host", database, "ns", client.Params{"host": client.StringValue("東京")})
	answer, err := c.Query(bound)
	check(err)
	check(answer.Error())
	told.Bound = answer.Results[0].Series[0].Values[0]

	refused, err := c.Query(client.NewQuery("SELECT FROM", database, "ns"))
	if err != nil {
		told.Refused = err.Error()
	} else {
		told.Refused = refused.Err
	}
	conflict, err := client.NewBatchPoints(client.BatchPointsConfig{Database: database})
	check(err)
	add(conflict, nil, map[string]interface{}{"n": "text"}, 4)
	told.Conflict = text(c.Write(conflict))
	elsewhere, err := client.NewBatchPoints(client.BatchPointsConfig{Database: "nowhere"})
	check(err)
	add(elsewhere, nil, map[string]interface{}{"n": 1}, 5)
	told.Missing = text(c.Write(elsewhere))
	check(json.NewEncoder(os.Stdout).Encode(told))
}

func add(points client.BatchPoints, tags map[string]string, fields map[string]interface{}, nanos int64) {
	point, err := client.NewPoint("plain", tags, fields, time.Unix(start, nanos))
	check(err)
	points.AddPoint(point)
}

func ask(c client.Client, text string) *client.Response {
	answer, err := c.Query(client.NewQuery(text, database, "ns"))
	check(err)
	check(answer.Error())
	return answer
}

func text(err error) string {
	if err == nil {
		return "nothing"
	}
	return err.Error()
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
