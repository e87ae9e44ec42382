/** Of the grid's page: light and dark, from a phone's width on. */
export const GRID_STYLE = `
:root { color-scheme: light dark; --ink: light-dark(#1b1f24, #e6e8eb); --faint: light-dark(#5d6775, #9aa4b1);
  --paper: light-dark(#fff, #14171b); --line: light-dark(#d5dae1, #323943);
  --ice: light-dark(#d3f0da, #154428); --hardnat: light-dark(#d5e5ff, #1a3c70); --relay: light-dark(#f0f2f5, #20252b);
  --wrong: light-dark(#ffcfca, #7a1e19); --good: light-dark(#12692c, #6fd58f); --bad: light-dark(#a8180f, #ff8f86) }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  padding: 1.5rem 1rem 3rem; max-width: 84rem }
h1 { font-size: 1.5rem; line-height: 1.2; margin: 0 0 .5rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
h2 small { font-weight: 400; font-size: .9rem; color: var(--faint) }
p { max-width: 46rem; margin: .5rem 0 } .lead b { margin-right: .4rem }
.good { color: var(--good) } .bad { color: var(--bad) }
.key { list-style: none; display: flex; flex-wrap: wrap; gap: .4rem; padding: 0; margin: .8rem 0; font-size: .85rem }
.key li { padding: .15rem .6rem; border-radius: .3rem; border: 1px solid var(--line) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: .4rem }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; width: 100% }
th { font-weight: 500; text-align: left } i { font-style: normal; color: var(--faint) }
.grid { table-layout: fixed; min-width: 69rem } .grid .corner { width: 16.5rem }
.grid td { border-left: 1px solid var(--line); border-top: 1px solid var(--line); padding: .3rem .35rem;
  text-align: center; vertical-align: middle; font-weight: 600; line-height: 1.25 }
.grid td small { display: block; font-weight: 400; font-size: .72rem; color: var(--faint) }
.grid .corner, .grid tbody th { position: sticky; left: 0; background: var(--paper); border-left: 0; z-index: 1 }
.grid .corner { border-top: 0 }
.grid thead th { vertical-align: bottom; padding: .4rem .35rem; border-left: 1px solid var(--line) }
.grid thead th span { display: block; writing-mode: vertical-rl; transform: rotate(180deg); font-size: .85rem; margin: 0 auto;
  white-space: nowrap }
.grid thead th i { display: block; text-align: center; margin-top: .3rem }
.grid tbody th { border-top: 1px solid var(--line); padding: .3rem .6rem; white-space: nowrap; font-size: .9rem }
.grid tbody tr:hover th { color: var(--good) }
.ice { background: var(--ice) } .hardnat { background: var(--hardnat) } .relay { background: var(--relay) }
.grid td.relay { color: var(--faint); font-weight: 400; font-size: .85rem }
.wrong { background: var(--wrong) } .grid td.wrong small { color: inherit }
.numbers th, .numbers td { padding: .3rem .6rem; white-space: nowrap; text-align: right; border-top: 1px solid var(--line) }
.numbers thead th { border-top: 0; color: var(--faint); font-size: .85rem } .numbers .left { text-align: left }
.numbers th:nth-child(-n+2) { text-align: left }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0 } dt { font-weight: 500 } dd { margin: 0 }
@media (max-width: 40rem) {
  .grid { min-width: 47rem } .grid .corner { width: 6.4rem }
  .grid tbody th { white-space: normal; font-size: .78rem; line-height: 1.2; padding: .3rem .4rem }
  .grid td { font-size: .85rem; padding: .25rem .2rem } .grid td small { font-size: .68rem }
  .grid thead th span { font-size: .78rem }
  dl { grid-template-columns: 1fr } dd { margin-bottom: .4rem; color: var(--faint) }
}`;
