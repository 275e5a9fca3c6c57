// The Go library go-elasticsearch: sends documents through its bulk indexer, asks what became of them, and prints what it
// was told as JSON.
//
//	go_elasticsearch URL     (documents as lines of JSON on standard input)
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"
	"github.com/elastic/go-elasticsearch/v8/esutil"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types"
	"github.com/elastic/go-elasticsearch/v8/typedapi/types/enums/sortorder"
)

// Failure is a document that was refused.
type Failure struct {
	ID     string
	Status int
	Type   string
}

// Told is what the driver checks.
type Told struct {
	Version   string
	Stats     esutil.BulkIndexerStats
	Succeeded int64
	Mixed     esutil.BulkIndexerStats
	Failures  []Failure
	Count     int64
	Created   string
	Hits      int64
	Newest    json.RawMessage
	Refused   string
	Missing   int
	Exists    []int
	Discovery string
}

func main() {
	config := elasticsearch.Config{Addresses: []string{os.Args[1]}, CompressRequestBody: true}
	client, err := elasticsearch.NewClient(config)
	check(err)
	typed, err := elasticsearch.NewTypedClient(config)
	check(err)
	var told Told

	info, err := typed.Info().Do(context.Background())
	check(err)
	told.Version = info.Version.Int

	var succeeded atomic.Int64
	indexer := newIndexer(client, "go-bulk", 3)
	in := bufio.NewScanner(os.Stdin)
	for n := 0; in.Scan(); n++ {
		action := "index"
		if n%2 == 1 {
			action = "create"
		}
		check(indexer.Add(context.Background(), esutil.BulkIndexerItem{
			Action: action,
			Body:   bytes.NewReader(bytes.Clone(in.Bytes())),
			OnSuccess: func(_ context.Context, _ esutil.BulkIndexerItem, answer esutil.BulkIndexerResponseItem) {
				if answer.Status == 201 && answer.Result == "created" && answer.Index == "go-bulk" && answer.DocumentID != "" {
					succeeded.Add(1)
				}
			},
		}))
	}
	check(in.Err())
	check(indexer.Close(context.Background()))
	told.Stats, told.Succeeded = indexer.Stats(), succeeded.Load()

	var lock sync.Mutex
	mixed := newIndexer(client, "go-mixed", 1) // One after the other: the first says what the column holds.
	for _, text := range []string{`{"n": 1}`, `{"n": "word"}`, `{"n": 3}`, `{"n": `} {
		check(mixed.Add(context.Background(), esutil.BulkIndexerItem{
			Action:     "create",
			DocumentID: "id of " + text,
			Body:       strings.NewReader(text),
			OnFailure: func(_ context.Context, _ esutil.BulkIndexerItem, answer esutil.BulkIndexerResponseItem, err error) {
				lock.Lock()
				defer lock.Unlock()
				check(err)
				told.Failures = append(told.Failures, Failure{answer.DocumentID, answer.Status, answer.Error.Type})
			},
		}))
	}
	check(mixed.Close(context.Background()))
	told.Mixed = mixed.Stats()

	count, err := typed.Count().Index("go-bulk").Do(context.Background())
	check(err)
	told.Count = count.Count
	created, err := typed.Index("go-one").Id("a b").Request(map[string]any{"@timestamp": "2024-05-01T00:00:00Z", "n": 1}).Do(context.Background())
	check(err)
	told.Created = created.Result.Name
	newest := types.SortOptions{SortOptions: map[string]types.FieldSort{"@timestamp": {Order: &sortorder.Desc}}}
	found, err := typed.Search().Index("go-bulk").Size(1).Sort(newest).Do(context.Background())
	check(err)
	told.Hits, told.Newest = found.Hits.Total.Value, found.Hits.Hits[0].Source_
	_, err = typed.Index("go-one").Request(map[string]any{"n": "word"}).Do(context.Background())
	if refused, ok := err.(*types.ElasticsearchError); ok {
		told.Refused = refused.ErrorCause.Type
	}
	told.Missing = status(client.Search(client.Search.WithIndex("go-none")))
	told.Exists = []int{status(client.Indices.Exists([]string{"go-one"})), status(client.Indices.Exists([]string{"go-none"}))}
	if err := client.DiscoverNodes(); err != nil {
		told.Discovery = err.Error()
	} else if again := status(client.Count(client.Count.WithIndex("go-bulk"))); again != 200 {
		told.Discovery = "nothing is found after discovery"
	}
	check(json.NewEncoder(os.Stdout).Encode(told))
}

func newIndexer(client *elasticsearch.Client, index string, workers int) esutil.BulkIndexer {
	indexer, err := esutil.NewBulkIndexer(esutil.BulkIndexerConfig{Client: client, Index: index, NumWorkers: workers, FlushBytes: 20_000})
	check(err)
	return indexer
}

func status(answer *esapi.Response, err error) int {
	check(err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	check(err)
	return answer.StatusCode
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
