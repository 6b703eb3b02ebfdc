// The style sheet (the chips repeat the colours of outlined.h): colours first, then the page from top to bottom,
// charts, and print.
#include "tools/report/style.h"

namespace dermatome::report {

std::string_view style_sheet() {
  return R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --well: #f4f4f1; --ink: #15181c; --soft: #5b626c; --hair: #e2e2dd; --axis: #a9adb2;
  --train: #c8741a; --validation: #2253c4; --thresholded: #6f95e6; --rate: #56606d; --missed: #c2452d;
  --truth: #12a150; --prediction: #d61f96; --note: #fdf6e3; --note-edge: #d9a520;
  --run-1: #2253c4; --run-2: #c25a00; --run-3: #00805f; --run-4: #a8327d; --run-5: #7a6a00; --run-6: #4a4f57;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #121519; --well: #1b2026; --ink: #e9ebee; --soft: #9ba4af; --hair: #2a3038; --axis: #59626d;
    --train: #f0a24f; --validation: #86aeff; --thresholded: #5579c4; --rate: #a5b0bd; --missed: #f27d64;
    --truth: #35d884; --prediction: #ff5fc4; --note: #2a2415; --note-edge: #b98a1c;
    --run-1: #86aeff; --run-2: #ff9d4d; --run-3: #3ecfa3; --run-4: #f08acb; --run-5: #d9c84a; --run-6: #b4bcc6;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; scroll-behavior: smooth; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif;
  font-variant-numeric: tabular-nums; -webkit-font-smoothing: antialiased;
}
.page { max-width: 1240px; margin: 0 auto; padding: 0 40px; }
.id { unicode-bidi: isolate; overflow-wrap: anywhere; }
.soft { color: var(--soft); }

.masthead { display: flex; align-items: center; gap: 12px; padding: 22px 0; font-size: 14px; color: var(--soft); }
.masthead svg { width: 30px; height: 30px; flex: none; }
.masthead .brand { color: var(--ink); font-weight: 650; font-size: 16px; letter-spacing: -0.01em; }
.masthead nav { margin-left: auto; display: flex; gap: 22px; }
.masthead a { color: inherit; text-decoration: none; }
.masthead a:hover, .masthead a:focus-visible { color: var(--ink); text-decoration: underline; text-underline-offset: 4px; }
.logo-truth, .logo-prediction { fill: none; stroke-width: 2.6; stroke: var(--truth); }
.logo-prediction { stroke: var(--prediction); }

.hero { border-top: 1px solid var(--hair); padding: 52px 0 44px; }
.hero h1 { margin: 0; font-size: clamp(30px, 4.4vw, 46px); line-height: 1.1; font-weight: 680; letter-spacing: -0.025em; }
.hero h1 { margin-top: -0.12em; }
.hero .lead { margin: 14px 0 0; color: var(--soft); font-size: 17px; max-width: 76ch; }
.hero-head.pictured { display: grid; grid-template-columns: minmax(0, 1fr) 300px; gap: 64px; }
.hero-head.pictured > div { display: flex; flex-direction: column; justify-content: space-between; }
.median img { display: block; width: 100%; height: auto; border-radius: 5px; background: var(--well); }
.median figcaption { color: var(--soft); font-size: 13px; margin-top: 8px; } .median .outline-legend { margin: 0 0 2px; font-size: 13px; gap: 0 16px; }
.figures { display: grid; grid-template-columns: 1.5fr 1fr 1fr; gap: 36px; margin: 46px 0 0; align-items: end; }
.figures dt { color: var(--soft); font-size: 15px; }
.figures dd { margin: 0; }
.figures .value { font-size: 52px; line-height: 1.1; font-weight: 620; letter-spacing: -0.03em; }
.figures div:first-child .value { font-size: 104px; line-height: 1; font-weight: 660; letter-spacing: -0.045em; margin-left: -0.045em; }
.figures .range { color: var(--soft); font-size: 14px; min-height: 1.5em; }
.figures .gauge { display: block; margin: 10px 0 6px; max-width: 100%; height: auto; }
.facts { display: flex; flex-wrap: wrap; gap: 14px 44px; margin: 40px 0 0; padding: 18px 0 0; border-top: 1px solid var(--hair); }
.facts dt { font-size: 13px; color: var(--soft); }
.facts dd { margin: 0; font-weight: 560; }
.notes { margin: 0 0 48px; padding: 16px 22px; background: var(--note); border-left: 4px solid var(--note-edge); border-radius: 3px; }
.notes h2 { margin: 0 0 4px; font-size: 15px; }
.notes ul { margin: 0; padding-left: 18px; }

section { border-top: 1px solid var(--hair); padding: 40px 0 48px; }
section > h2 { margin: 0 0 4px; font-size: 25px; font-weight: 650; letter-spacing: -0.018em; line-height: 1.25; }
section > .intro { margin: 0 0 28px; color: var(--soft); max-width: 80ch; }
h3 { margin: 0; font-size: 16px; font-weight: 620; letter-spacing: -0.005em; }

.charts { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 40px 44px; }
.charts > .wide { grid-column: 1 / -1; }
figure { margin: 0; min-width: 0; }
.chart-head { display: flex; flex-wrap: wrap; gap: 2px 20px; align-items: baseline; margin-bottom: 12px; }
.legend { display: flex; flex-wrap: wrap; gap: 0 18px; margin: 0; padding: 0; list-style: none; color: var(--soft); font-size: 13.5px; }
.swatch { display: inline-block; width: 16px; height: 3px; margin-right: 7px; vertical-align: 0.25em; border-radius: 2px; background: var(--series, var(--ink)); }
.swatch.found, .swatch.missed { width: 10px; height: 10px; vertical-align: -0.02em; }
.swatch.thresholded { background: repeating-linear-gradient(90deg, var(--series) 0 4px, transparent 4px 6px); }
.chart-scroll { overflow-x: auto; overflow-y: hidden; }
.chart { display: block; width: 100%; height: auto; min-width: 430px; }
.wide .chart { min-width: 860px; }
figcaption.caption { color: var(--soft); font-size: 14px; margin-top: 10px; }
.empty { color: var(--soft); background: var(--well); border-radius: 4px; padding: 38px 20px; text-align: center; font-size: 15px; }

.train { --series: var(--train); } .validation, .found { --series: var(--validation); }
.thresholded { --series: var(--thresholded); } .rate, .speed { --series: var(--rate); } .missed { --series: var(--missed); }
.run-1 { --series: var(--run-1); } .run-2 { --series: var(--run-2); } .run-3 { --series: var(--run-3); }
.run-4 { --series: var(--run-4); } .run-5 { --series: var(--run-5); } .run-6 { --series: var(--run-6); }
.line.run-2 { stroke-dasharray: 9 4; } .line.run-3 { stroke-dasharray: 3 4; } .line.run-4 { stroke-dasharray: 12 4 2 4; }
.line.run-5 { stroke-dasharray: 6 3 2 3 2 3; } .line.run-6 { stroke-dasharray: 1 4; }
.line.pale { stroke-width: 1; stroke-dasharray: none; opacity: 0.45; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "Noto Sans", Arial, sans-serif; font-variant-numeric: tabular-nums; fill: var(--soft); }
.grid-line { stroke: var(--hair); } .axis-line { stroke: var(--axis); }
svg .axis-title { fill: var(--soft); }
.stage-band { fill: var(--well); opacity: 0.55; } .stage-band.odd { opacity: 1; }
.stage-line { stroke: var(--axis); stroke-dasharray: 2 3; }
svg .stage-name { font-size: 11px; fill: var(--soft); }
.line { fill: none; stroke: var(--series); stroke-width: 2.25; stroke-linejoin: round; stroke-linecap: round; }
.line.train { stroke-width: 1.75; } .line.thresholded { stroke-width: 1.75; stroke-dasharray: 5 4; }
.line.rate, .line.speed { stroke-width: 1.75; }
.area { fill: var(--series); opacity: 0.1; }
.dot { fill: var(--series); } .ringed { stroke: var(--paper); stroke-width: 1.5; }
svg .mark-text { font-weight: 600; font-size: 12.5px; fill: var(--series, var(--ink)); stroke: var(--paper); stroke-width: 4px; paint-order: stroke; stroke-linejoin: round; }
.drop-line { stroke: var(--validation); stroke-dasharray: 2 3; }
.bar { fill: var(--series); } .mean-line { stroke: var(--ink); stroke-width: 1.25; }
.point { fill: var(--series); fill-opacity: 0.5; stroke: var(--series); stroke-opacity: 0.7; stroke-width: 0.75; }
.point:hover { fill-opacity: 1; stroke: var(--ink); stroke-opacity: 1; stroke-width: 1.5; }
.threshold-line { stroke: var(--missed); stroke-dasharray: 4 4; }
.quarter { stroke: var(--ink); stroke-width: 3; stroke-linecap: round; }
.hit { fill: transparent; } .cross { stroke: var(--axis); }
.probe > g { opacity: 0; pointer-events: none; } .probe:hover > g { opacity: 1; }
.chart:has(.probe:hover) .y-title { opacity: 0; } .probe:hover .bar { opacity: 0.75; }
svg .readout { fill: var(--ink); } .readout tspan[class] { fill: var(--series); font-weight: 600; }
.gauge-track { fill: var(--hair); } .gauge-fill { fill: var(--validation); } .gauge-interval { fill: var(--validation); opacity: 0.4; } .gauge-mean { fill: var(--ink); }
.interval .track { stroke: var(--hair); stroke-width: 1.5; }
.interval .whisker { stroke: var(--validation); stroke-opacity: 0.4; stroke-width: 7; }

.zero-line { stroke: var(--ink); stroke-width: 1; }
.runs-head { display: grid; grid-template-columns: repeat(min(var(--runs), 3), minmax(0, 1fr)); gap: 26px 36px; margin: 40px 0 0; }
.run-card { border-top: 4px solid var(--series); padding-top: 14px; }
.run-card h2 { margin: 0; font-size: 17px; font-weight: 620; }
.run-card .value { font-size: 60px; line-height: 1.1; font-weight: 650; letter-spacing: -0.035em; }
.run-card .range { color: var(--soft); font-size: 14px; }
.compare .interval-text { display: block; color: var(--soft); font-size: 12.5px; } .compare td.plot, .compare th.plot { width: 270px; }
.compare .swatch { vertical-align: 0.3em; } .remark { margin: 10px 0 32px; color: var(--soft); font-size: 14px; }
.settings-table td { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.different-photographs { display: grid; grid-template-columns: repeat(auto-fit, minmax(380px, 1fr)); gap: 8px 48px; }
.pictures.beside { grid-template-columns: repeat(min(var(--runs), 3), minmax(0, 1fr)); } .pictures.beside .id { display: inline; } .beside .swatch { vertical-align: 0.25em; } .beside .picture:has(input:checked) { grid-column: 1 / -1; grid-row: auto; }

.table-scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 15px; width: 100%; }
th { text-align: left; font-weight: 500; color: var(--soft); font-size: 13.5px; vertical-align: bottom; }
th, td { padding: 8px 22px 8px 0; border-bottom: 1px solid var(--hair); }
th:last-child, td:last-child { padding-right: 0; }
tbody th .soft { font-weight: 400; font-size: 14px; }
tbody th { white-space: nowrap; color: var(--ink); font-size: 15px; vertical-align: baseline; }
td { vertical-align: baseline; } .number + :not(.number) { padding-left: 22px; } .metrics tbody th { width: 34%; } .total > * { border-bottom: 0; font-weight: 600; }
.number { text-align: right; white-space: nowrap; }
td.plot, th.plot { width: 370px; } td.plot { vertical-align: middle; padding-top: 3px; padding-bottom: 3px; } .plot svg { display: block; }
.table-title { margin: 44px 0 6px; }
.metrics { margin-bottom: 48px; } .metrics .mean { font-weight: 620; }
.split { display: grid; grid-template-columns: minmax(0, 5fr) minmax(0, 4fr); gap: 24px 64px; align-items: start; }
.settings { margin: 0; }
.settings div { display: grid; grid-template-columns: 180px minmax(0, 1fr); gap: 20px; padding: 7px 0; border-bottom: 1px solid var(--hair); font-size: 15px; }
.settings dt { color: var(--soft); } .settings dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
.settings .text dd { font: 13px/1.55 ui-monospace, SFMono-Regular, Menlo, Consolas, "Liberation Mono", monospace; }
.meter { display: block; height: 8px; border-radius: 2px; background: var(--validation); min-width: 2px; }
td.meter-cell { width: 34%; vertical-align: middle; }
.epochs { max-height: 440px; overflow: auto; border-bottom: 1px solid var(--hair); }
.epochs table { font-size: 14px; } .epochs th, .epochs td { padding-top: 5px; padding-bottom: 5px; }
.epochs thead th { position: sticky; top: 0; background: var(--paper); box-shadow: inset 0 -1px var(--hair); border-bottom: 0; }
.epochs tbody th { font-size: inherit; } .epochs td { white-space: nowrap; }
.epochs .highest > * { font-weight: 650; background: var(--well); }

.outline-legend { display: flex; flex-wrap: wrap; gap: 4px 26px; margin: 0 0 28px; padding: 0; list-style: none; font-size: 15px; }
.chip { display: inline-block; width: 26px; height: 13px; margin-right: 8px; vertical-align: -0.1em; border-radius: 3px; background: linear-gradient(var(--stroke), var(--stroke)) center/100% 3px no-repeat #4d3a31; }
.chip.truth { --stroke: #28e678; } .chip.prediction { --stroke: #ff32be; } .chip.shared { --stroke: #ffffff; }
.picture-group { margin: 34px 0 0; } .picture-group > h3 { margin-bottom: 14px; } .picture-group > h3 span { font-weight: 400; color: var(--soft); }
.pictures { display: grid; grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 26px 16px; }
.picture label { display: block; cursor: zoom-in; position: relative; }
.picture input { position: absolute; opacity: 0; width: 1px; height: 1px; margin: 0; }
.picture img { display: block; width: 100%; height: auto; aspect-ratio: var(--aspect, 1); object-fit: contain; background: var(--well); border-radius: 4px; }
.picture input:focus-visible + img { outline: 3px solid var(--validation); outline-offset: 2px; }
.picture:has(input:checked) { grid-column: span 3; grid-row: span 3; } .picture input:checked + img { cursor: zoom-out; }
.picture .no-photograph { aspect-ratio: var(--aspect, 1); display: grid; place-items: center; text-align: center; color: var(--soft); background: var(--well); border-radius: 4px; font-size: 13px; }
.picture .score { font-size: 19px; font-weight: 640; letter-spacing: -0.01em; line-height: 1.2; margin-top: 8px; }
.picture .score.missed { color: var(--missed); }
.picture .id { display: block; font-size: 13px; margin-top: 2px; } .picture .detail { display: block; font-size: 13px; color: var(--soft); }
.visually-hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

footer { border-top: 1px solid var(--hair); padding: 26px 0 64px; color: var(--soft); font-size: 14px; }
footer p { margin: 0 0 6px; } footer strong { color: var(--ink); font-weight: 600; }

@media screen and (max-width: 900px) {
  .page { padding: 0 20px; } .masthead nav { display: none; } .masthead .right { margin-left: auto; }
  .hero { padding: 34px 0; } .hero-head.pictured { grid-template-columns: minmax(0, 1fr); gap: 32px; } .median { max-width: 360px; } .figures { grid-template-columns: 1fr 1fr; } .figures div:first-child { grid-column: 1 / -1; }
  .figures .value { font-size: 40px; } .figures div:first-child .value { font-size: 84px; }
  .charts, .split { grid-template-columns: minmax(0, 1fr); } .plot { display: none; }
  .pictures { grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); } .picture:has(input:checked) { grid-column: 1 / -1; grid-row: auto; }
  .runs-head { grid-template-columns: minmax(0, 1fr); } .different-photographs { grid-template-columns: minmax(0, 1fr); } .pictures.beside { grid-template-columns: repeat(min(var(--runs), 2), minmax(0, 1fr)); }
  .settings div { grid-template-columns: 120px minmax(0, 1fr); }
}
@media screen and (max-width: 560px) { /* charts fit a phone, their words stay as large as they can */
  .charts > :not(.wide) .chart { min-width: 0; overflow: visible; } .charts > :not(.wide) .chart text { font-size: 17px; }
  .charts > :not(.wide) .chart-scroll { overflow: visible; } .table-scroll th, .table-scroll td { padding-right: 12px; }
}
@media print {
  @page { margin: 14mm; }
  :root {
    --paper: #ffffff; --well: #f4f4f1; --ink: #000000; --soft: #4a5058; --hair: #d5d5d0; --axis: #90959b;
    --train: #c8741a; --validation: #2253c4; --thresholded: #6f95e6; --rate: #56606d; --missed: #c2452d;
    --truth: #12a150; --prediction: #d61f96; --note: #ffffff; --note-edge: #d9a520;
    --run-1: #2253c4; --run-2: #c25a00; --run-3: #00805f; --run-4: #a8327d; --run-5: #7a6a00; --run-6: #4a4f57;
  }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10.5pt; } .page { max-width: none; padding: 0; } .masthead nav { display: none; }
  .hero { padding: 20px 0; } .hero-head.pictured { grid-template-columns: minmax(0, 1fr) 190px; gap: 30px; } .figures { gap: 22px; } .figures .value { font-size: 25pt; } .figures div:first-child .value { font-size: 46pt; }
  .figures .range, .facts { font-size: 9pt; } .facts { margin-top: 20px; gap: 8px 26px; } .figures { margin-top: 24px; } section { padding: 20px 0; }
  .chart, .wide .chart { min-width: 0; } .chart-scroll, .table-scroll, .epochs { overflow: visible; max-height: none; }
  .epochs thead th { position: static; box-shadow: none; vertical-align: bottom; } .epochs table, .epochs th, .epochs tbody th { font-size: 7.5pt; } .epochs th, .epochs td { padding: 2px 9px 2px 0; }
  table, tbody th, .settings div { font-size: 9.5pt; } td.plot, th.plot { width: 290px; } .plot svg { width: 290px; height: auto; } th, td { padding-right: 12px; }
  .runs-head { margin: 20px 0 0; } .run-card .value { font-size: 28pt; } .different-photographs { grid-template-columns: 1fr 1fr; gap: 6px 24px; } .compare td.plot, .compare th.plot { width: 190px; } .compare .plot svg { width: 190px; } .picture-group { break-inside: avoid; }
  .settings div { grid-template-columns: 100px minmax(0, 1fr); gap: 12px; padding: 4px 0; } .split { gap: 30px; }
  .charts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 20px; } .pictures { grid-template-columns: repeat(6, minmax(0, 1fr)); gap: 12px 8px; }
  .picture .detail, .picture .id { font-size: 7.5pt; } .picture .score { font-size: 11pt; }
  figure, tr, .picture, .notes, .figures { break-inside: avoid; } h2, h3, .intro { break-after: avoid; } .on-screen { display: none; }
}
)css";
}

}  // namespace dermatome::report
